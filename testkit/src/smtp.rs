//! An SMTP server that tests send mail to.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// Takes mail, refuses `nobody@…` for good and `busy@…` for now.
pub struct SmtpSink {
    port: u16,
    mails: Arc<Mutex<Vec<String>>>,
}

impl SmtpSink {
    /// Starts one that asks, before what a client says takes effect and again (`true`) before that is answered, whether to go on: where
    /// not, it hangs up.
    ///
    /// # Errors
    /// When there is no free port.
    pub fn start(mut goes_on: impl FnMut(&str, bool) -> bool + Send + 'static) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let port = listener.local_addr()?.port();
        let mails: Arc<Mutex<Vec<String>>> = Arc::default();
        let taken = Arc::clone(&mails);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let _ = serve(stream, &taken, &mut goes_on);
            }
        });
        Ok(Self { port, mails })
    }

    /// Its port on loopback.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The mails that it took, as they were sent.
    #[must_use]
    pub fn mails(&self) -> Arc<Mutex<Vec<String>>> {
        Arc::clone(&self.mails)
    }
}

fn serve(stream: TcpStream, taken: &Mutex<Vec<String>>, goes_on: &mut impl FnMut(&str, bool) -> bool) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let say = |reader: &mut BufReader<TcpStream>, line: &str| reader.get_mut().write_all(format!("{line}\r\n").as_bytes());
    if !goes_on("connect", true) {
        return Ok(());
    }
    say(&mut reader, "220 sink")?;
    let (mut line, mut mail, mut in_mail) = (String::new(), String::new(), false);
    while reader.read_line(&mut line)? > 0 {
        let text = std::mem::take(&mut line);
        let said = text.trim_end();
        if in_mail && said != "." {
            mail.push_str(&text);
            continue;
        }
        if !goes_on(said, false) {
            return Ok(());
        }
        let answer = match said {
            "." if in_mail => {
                in_mail = false;
                if let Ok(mut taken) = taken.lock() {
                    taken.push(std::mem::take(&mut mail));
                }
                "250 taken"
            }
            command if command.starts_with("RCPT TO:<nobody") => "550 no such user",
            command if command.starts_with("RCPT TO:<busy") => "450 try later",
            "DATA" => {
                in_mail = true;
                "354 go on"
            }
            "QUIT" => "221 bye",
            _ => "250 ok",
        };
        if !goes_on(said, true) {
            return Ok(());
        }
        say(&mut reader, answer)?;
    }
    Ok(())
}
