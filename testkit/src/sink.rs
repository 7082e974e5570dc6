//! An HTTP server that takes whatever is posted to it.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

/// Takes POST requests on loopback and remembers them: headers in lower case, then the body.
pub struct HttpSink {
    port: u16,
    taken: Arc<Mutex<Vec<(String, String)>>>,
}

impl HttpSink {
    /// Starts one. It ends with the process.
    ///
    /// # Errors
    /// When there is no free port.
    pub fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let port = listener.local_addr()?.port();
        let taken: Arc<Mutex<Vec<(String, String)>>> = Arc::default();
        let sink = Arc::clone(&taken);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let sink = Arc::clone(&sink);
                std::thread::spawn(move || {
                    let mut reader = BufReader::new(stream);
                    while let Some((head, body)) = read_request(&mut reader) {
                        if let Ok(mut taken) = sink.lock() {
                            taken.push((head, body));
                        }
                        if reader.get_mut().write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").is_err() {
                            break;
                        }
                    }
                });
            }
        });
        Ok(Self { port, taken })
    }

    /// Its URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/hook", self.port)
    }

    /// What it has taken so far: headers and body of each.
    #[must_use]
    pub fn taken(&self) -> Vec<(String, String)> {
        self.taken.lock().map(|taken| taken.clone()).unwrap_or_default()
    }
}

fn read_request(reader: &mut impl BufRead) -> Option<(String, String)> {
    let mut head = String::new();
    loop {
        let before = head.len();
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
        if head[before..].trim().is_empty() {
            break;
        }
    }
    let head = head.to_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((head, String::from_utf8_lossy(&body).into_owned()))
}
