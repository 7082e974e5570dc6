//! Files over HTTP, as a server of feeds has them.

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What a path answers.
#[derive(Clone, Default)]
struct Page {
    body: Vec<u8>,
    etag: String,
    /// After how many bytes each transfer breaks off.
    breaks_off: Option<usize>,
}

/// A file server on loopback that answers conditional and partial requests, and breaks off where it is told to. It ends with the
/// test's process.
#[derive(Clone, Default)]
pub struct FileServer {
    url: String,
    pages: Arc<Mutex<HashMap<String, Page>>>,
    requests: Arc<Mutex<Vec<String>>>,
}

impl FileServer {
    /// Starts one on a free port, with nothing on it.
    ///
    /// # Errors
    /// When no port can be had.
    pub fn start() -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let server = Self { url: format!("http://{}", listener.local_addr()?), ..Self::default() };
        let answering = server.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let server = answering.clone();
                std::thread::spawn(move || server.answer(stream));
            }
        });
        Ok(server)
    }

    /// Where it is.
    #[must_use]
    pub fn url(&self) -> String {
        self.url.clone()
    }

    /// Has every transfer of a page break off after so many bytes.
    pub fn break_off(&self, path: &str, bytes: usize) {
        if let Some(page) = locked(&self.pages).get_mut(path) {
            page.breaks_off = Some(bytes);
        }
    }

    /// Puts a page there, under a tag by which it is recognised again.
    pub fn put(&self, path: &str, etag: &str, body: impl Into<Vec<u8>>) {
        locked(&self.pages).insert(path.to_owned(), Page { body: body.into(), etag: etag.to_owned(), breaks_off: None });
    }

    fn answer(&self, stream: TcpStream) {
        let mut reader = BufReader::new(stream);
        let mut head = Vec::new();
        let mut line = String::new();
        while reader.read_line(&mut line).is_ok_and(|read| read > 2) {
            head.push(std::mem::take(&mut line).trim().to_owned());
        }
        let header = |name: &str| head.iter().find_map(|line| line.to_lowercase().strip_prefix(name).map(|value| value.trim().to_owned()));
        let path = head.first().and_then(|line| line.split(' ').nth(1)).unwrap_or_default().to_owned();
        let page = locked(&self.pages).get(&path).cloned();
        let mut stream = reader.into_inner();
        let Some(page) = page else {
            let _ = stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            return;
        };
        let tag = format!("\"{}\"", page.etag);
        if header("if-none-match:").is_some_and(|known| known == tag) {
            locked(&self.requests).push(format!("304 {path}"));
            let _ = stream.write_all(b"HTTP/1.1 304 Not Modified\r\nConnection: close\r\n\r\n");
            return;
        }
        let offset = header("range:").filter(|_| header("if-range:") == Some(tag.clone()));
        let offset: usize = offset.and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok()).unwrap_or(0);
        let rest = &page.body[offset.min(page.body.len())..];
        let status = if offset > 0 { format!("206 Partial Content\r\nContent-Range: bytes {offset}-/*") } else { "200 OK".to_owned() };
        locked(&self.requests).push(format!("{} {path}", if offset > 0 { 206 } else { 200 }));
        let length = rest.len();
        let _ = write!(
            stream,
            "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nETag: {tag}\r\nAccept-Ranges: bytes\r\nConnection: close\r\n\r\n"
        );
        let _ = stream.write_all(&rest[..page.breaks_off.unwrap_or(length).min(length)]);
    }

    /// The requests since it was last asked, each with its status and path.
    pub fn take_requests(&self) -> Vec<String> {
        std::mem::take(&mut *locked(&self.requests))
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
