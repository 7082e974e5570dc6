//! Registry hives of Windows, as large as a test needs them.

/// A key with what is in it.
#[derive(Clone, Debug, Default)]
pub struct HiveKey {
    name: String,
    values: Vec<(String, HiveValue)>,
    keys: Vec<Self>,
}

#[derive(Clone, Debug)]
enum HiveValue {
    Text(String),
    Number(u32),
}

impl HiveKey {
    /// An empty key.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self { name: name.to_owned(), ..Self::default() }
    }

    /// The same key with a text in it.
    #[must_use]
    pub fn text(mut self, name: &str, text: &str) -> Self {
        self.values.push((name.to_owned(), HiveValue::Text(text.to_owned())));
        self
    }

    /// The same key with a number in it.
    #[must_use]
    pub fn number(mut self, name: &str, number: u32) -> Self {
        self.values.push((name.to_owned(), HiveValue::Number(number)));
        self
    }

    /// The same key with another one below it.
    #[must_use]
    pub fn key(mut self, key: Self) -> Self {
        self.keys.push(key);
        self
    }

    /// The hive whose root is this key.
    #[must_use]
    pub fn hive(&self) -> Vec<u8> {
        let mut cells = Vec::new();
        // The head of the one bin that everything lies in.
        cells.extend(b"hbin");
        cells.resize(32, 0);
        let root = self.write(&mut cells);
        cells.resize(cells.len().next_multiple_of(4096), 0);
        let length = cells.len() as u32;
        cells[8..12].copy_from_slice(&length.to_le_bytes());
        let mut hive = b"regf".to_vec();
        for number in [7_u32, 7, 0, 0, 1, 5, 0, 1, root, length, 1] {
            hive.extend(number.to_le_bytes());
        }
        hive.resize(508, 0);
        let sum = hive.chunks_exact(4).fold(0, |sum, word| sum ^ u32::from_le_bytes([word[0], word[1], word[2], word[3]]));
        hive.extend(sum.to_le_bytes());
        hive.resize(4096, 0);
        hive.extend(cells);
        hive
    }

    /// Writes the key and all below it; answers where it is.
    fn write(&self, cells: &mut Vec<u8>) -> u32 {
        let keys: Vec<u32> = self.keys.iter().map(|key| key.write(cells)).collect();
        let values: Vec<u32> = self.values.iter().map(|(name, value)| value.write(name, cells)).collect();
        let list = if keys.is_empty() { u32::MAX } else { list(&keys, cells) };
        let table = values.iter().flat_map(|offset| offset.to_le_bytes()).collect::<Vec<u8>>();
        let table = if values.is_empty() { u32::MAX } else { cell(&table, cells) };
        let mut body = b"nk".to_vec();
        body.extend(0x20_u16.to_le_bytes());
        body.resize(20, 0);
        for number in [keys.len() as u32, 0, list, u32::MAX, values.len() as u32, table] {
            body.extend(number.to_le_bytes());
        }
        body.resize(72, 0);
        body.extend((self.name.len() as u16).to_le_bytes());
        body.extend([0, 0]);
        body.extend(self.name.bytes());
        cell(&body, cells)
    }
}

impl HiveValue {
    fn write(&self, name: &str, cells: &mut Vec<u8>) -> u32 {
        let (kind, length, data) = match self {
            Self::Number(number) => (4_u32, 4 | 1 << 31, *number),
            Self::Text(text) => {
                let bytes: Vec<u8> = text.encode_utf16().chain([0]).flat_map(u16::to_le_bytes).collect();
                (1, bytes.len() as u32, cell(&bytes, cells))
            }
        };
        let mut body = b"vk".to_vec();
        body.extend((name.len() as u16).to_le_bytes());
        for number in [length, data, kind] {
            body.extend(number.to_le_bytes());
        }
        body.extend([1, 0, 0, 0]);
        body.extend(name.bytes());
        cell(&body, cells)
    }
}

/// Lists of keys, and where there are many a list of those.
fn list(keys: &[u32], cells: &mut Vec<u8>) -> u32 {
    const FEW: usize = 4;
    let leaf = |keys: &[u32], cells: &mut Vec<u8>| {
        let mut body = b"lh".to_vec();
        body.extend((keys.len() as u16).to_le_bytes());
        keys.iter().for_each(|key| body.extend([key.to_le_bytes(), [0; 4]].concat()));
        cell(&body, cells)
    };
    if keys.len() <= FEW {
        return leaf(keys, cells);
    }
    let leaves: Vec<u32> = keys.chunks(FEW).map(|keys| leaf(keys, cells)).collect();
    let mut body = b"ri".to_vec();
    body.extend((leaves.len() as u16).to_le_bytes());
    leaves.iter().for_each(|leaf| body.extend(leaf.to_le_bytes()));
    cell(&body, cells)
}

/// Appends a cell that is in use; answers where it is.
fn cell(body: &[u8], cells: &mut Vec<u8>) -> u32 {
    let at = cells.len();
    let size = (body.len() + 4).next_multiple_of(8);
    cells.extend((-(size as i32)).to_le_bytes());
    cells.extend(body);
    cells.resize(at + size, 0);
    at as u32
}

/// The hive `SOFTWARE` of a system: its build (`20348.1366`) and what it says of itself, with packages and their states.
#[must_use]
pub fn windows_software(name: &str, installation: &str, build: (u32, u32), packages: &[(&str, u32)]) -> Vec<u8> {
    let version = HiveKey::new("CurrentVersion")
        .text("ProductName", name)
        .text("InstallationType", installation)
        .text("CurrentVersion", "6.3")
        .number("CurrentMajorVersionNumber", 10)
        .number("CurrentMinorVersionNumber", 0)
        .text("CurrentBuildNumber", &build.0.to_string())
        .text("BuildLabEx", &format!("{}.1.amd64fre.fe_release.210507-1500", build.0))
        .number("UBR", build.1);
    let mut list = HiveKey::new("Packages");
    for (package, state) in packages {
        list = list.key(HiveKey::new(package).number("CurrentState", *state));
    }
    let servicing = HiveKey::new("CurrentVersion").key(HiveKey::new("Component Based Servicing").key(list));
    let microsoft = HiveKey::new("Microsoft").key(HiveKey::new("Windows").key(servicing)).key(HiveKey::new("Windows NT").key(version));
    HiveKey::new("ROOT").key(HiveKey::new("Classes")).key(microsoft).hive()
}
