//! Rows of a listing, never wider than the terminal.

use lestrade_report::printable;

/// A column is never made narrower than this.
const NARROWEST: usize = 6;

/// Rows below their titles. What comes from outside is made printable; the columns of `shrinking` are cut, the widest first, until
/// a row fits into `width`.
pub(super) fn columns(titles: &[&str], rows: &[Vec<String>], shrinking: &[usize], width: usize) -> String {
    let rows: Vec<Vec<String>> = rows.iter().map(|row| row.iter().map(|cell| printable(cell).into_owned()).collect()).collect();
    let cells = |i: usize| rows.iter().filter_map(move |row| row.get(i)).map(|cell| cell.chars().count());
    let mut widths: Vec<usize> =
        titles.iter().enumerate().map(|(i, title)| cells(i).chain([title.chars().count()]).max().unwrap_or(0)).collect();
    let gaps = 2 * titles.len().saturating_sub(1);
    while widths.iter().sum::<usize>() + gaps > width {
        let Some(widest) = shrinking.iter().copied().filter(|i| widths[*i] > NARROWEST).max_by_key(|i| widths[*i]) else { break };
        widths[widest] -= 1;
    }
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let cells: Vec<String> = cells.zip(&widths).map(|(cell, width)| fit(cell, *width)).collect();
        format!("{}\n", cells.join("  ").trim_end())
    };
    let head = line(&mut titles.iter().copied());
    std::iter::once(head).chain(rows.iter().map(|row| line(&mut row.iter().map(String::as_str)))).collect()
}

fn fit(cell: &str, width: usize) -> String {
    let length = cell.chars().count();
    if length <= width {
        return format!("{cell}{}", " ".repeat(width - length));
    }
    let kept: String = cell.chars().take(width.saturating_sub(1)).collect();
    format!("{kept}…")
}

/// So many of something.
pub(super) fn counted(count: u64, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

/// How long that is, in the largest unit of which there are two.
pub(super) fn span(seconds: u64) -> String {
    let units = [(86_400, "d"), (3600, "h"), (60, "min")];
    let unit = units.into_iter().find(|(length, _)| seconds >= 2 * length);
    unit.map_or_else(|| format!("{seconds} s"), |(length, name)| format!("{} {name}", seconds / length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_fit_and_what_is_hostile_is_shown() {
        let rows = [vec!["CVE-2024-1".to_owned(), "a".repeat(60)], vec!["CVE-2024-22".to_owned(), "\u{1b}[2J".to_owned()]];
        let table = columns(&["ID", "WHERE"], &rows, &[1], 40);
        assert!(table.lines().all(|line| line.chars().count() <= 40), "{table}");
        assert!(table.contains("…") && table.contains("\\u{1b}[2J") && table.lines().count() == 3, "{table}");
    }

    #[test]
    fn spans_are_told_in_one_word() {
        assert_eq!([1, 119, 120, 7200, 200_000].map(span), ["1 s", "119 s", "2 min", "2 h", "2 d"]);
    }
}
