//! An HTTP server that answers as a test says, and remembers what it was asked.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// What was asked.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The method.
    pub method: String,
    /// The path with its query.
    pub path: String,
    /// Headers, by name in lower case.
    pub headers: BTreeMap<String, String>,
    /// The body.
    pub body: String,
}

impl Asked {
    /// The body as JSON; null when it is none.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }
}

/// What is answered.
#[derive(Clone, Debug)]
pub enum Reply {
    /// A status, headers, a body.
    Answer(u16, Vec<(String, String)>, String),
    /// A status and a body of bytes.
    Bytes(u16, Vec<u8>),
    /// Nothing, and the connection is closed.
    HangUp,
    /// Nothing, and the connection stays open until the caller has enough.
    Hang,
}

impl Reply {
    /// A status alone.
    #[must_use]
    pub const fn status(status: u16) -> Self {
        Self::Answer(status, Vec::new(), String::new())
    }

    /// JSON.
    #[must_use]
    pub fn json(status: u16, body: &serde_json::Value) -> Self {
        Self::Answer(status, vec![("content-type".into(), "application/json".into())], body.to_string())
    }
}

/// Answers on loopback; ends with the process.
pub struct Responder {
    port: u16,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Responder {
    /// Starts one that answers by `reply`, which is called for one request at a time.
    ///
    /// # Errors
    /// When there is no free port.
    pub fn start(reply: impl FnMut(&Asked) -> Reply + Send + 'static) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let port = listener.local_addr()?.port();
        let asked: Arc<Mutex<Vec<Asked>>> = Arc::default();
        let reply = Arc::new(Mutex::new(reply));
        let noted = Arc::clone(&asked);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (reply, noted) = (Arc::clone(&reply), Arc::clone(&noted));
                std::thread::spawn(move || serve(stream, &reply, &noted));
            }
        });
        Ok(Self { port, asked })
    }

    /// Its origin, without a path.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// What it was asked so far.
    #[must_use]
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().map(|asked| asked.clone()).unwrap_or_default()
    }
}

fn serve(stream: TcpStream, reply: &Mutex<impl FnMut(&Asked) -> Reply>, noted: &Mutex<Vec<Asked>>) {
    let mut reader = BufReader::new(stream);
    while let Some(asked) = read(&mut reader) {
        if let Ok(mut noted) = noted.lock() {
            noted.push(asked.clone());
        }
        let Ok(said) = reply.lock().map(|mut reply| reply(&asked)) else { return };
        let (status, headers, body) = match said {
            Reply::Answer(status, headers, body) => (status, headers, body.into_bytes()),
            Reply::Bytes(status, body) => (status, Vec::new(), body),
            Reply::HangUp => return,
            Reply::Hang => {
                // Ends when the caller closes its side.
                let _ = reader.read(&mut [0; 1]);
                return;
            }
        };
        let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let head = format!("HTTP/1.1 {status} x\r\n{headers}content-length: {}\r\n\r\n", body.len());
        let stream = reader.get_mut();
        if stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body)).is_err() {
            return;
        }
    }
}

fn read(reader: &mut impl BufRead) -> Option<Asked> {
    let mut line = String::new();
    if reader.read_line(&mut line).ok()? == 0 {
        return None;
    }
    let mut words = line.split_whitespace();
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        match line.trim_end().split_once(':') {
            Some((name, value)) => drop(headers.insert(name.to_lowercase(), value.trim().to_owned())),
            None => break,
        }
    }
    let length = headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Asked { method, path, headers, body: String::from_utf8_lossy(&body).into_owned() })
}
