//! A worker: this program again, confined, with one job, one input and one answer.
//!
//! The job travels as an argument, the input is the worker's standard input (a file is handed over as it is; a stream is
//! pumped), the answer comes back on its standard output as one frame: magic, the walls that stand, a length, that many bytes. An
//! answer whose length is not known when it begins goes on until the worker ends well.
//! The answer is read as the hostile input that it may be. A worker that dies, stalls or talks too much costs its own input
//! and nothing else.

use crate::{Sandbox, asking};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

const MAGIC: &[u8; 4] = b"LWK1";
/// The largest job: it has to fit into an argument.
const MAX_JOB: usize = 60 << 10;
/// How much is pumped at a time.
const CHUNK: usize = 256 << 10;
/// Bytes of a frame before its body: magic, walls, length.
const HEAD: usize = 4 + 1 + 8;
/// The length of a body that goes on until the worker ends.
const UNTIL_THE_END: u64 = u64::MAX;

/// How to start a worker: this very program, and the argument that makes it one.
#[derive(Clone, Debug)]
pub struct WorkerCommand {
    /// The program.
    pub program: PathBuf,
    /// Its arguments before the job.
    pub arguments: Vec<String>,
}

/// What a worker may use up.
#[derive(Clone, Copy, Debug)]
pub struct WorkerLimits {
    /// Address space, in bytes.
    pub memory: u64,
    /// Wall-clock time, that in which it waits for its input not counted.
    pub time: Duration,
    /// Bytes of its answer.
    pub answer: u64,
}

impl Default for WorkerLimits {
    fn default() -> Self {
        Self { memory: 2 << 30, time: Duration::from_secs(600), answer: 512 << 20 }
    }
}

/// What a worker reads.
pub enum Input<'a> {
    /// A file or folder, handed over.
    File(File),
    /// A stream, pumped.
    Stream(&'a mut dyn Read),
    /// Bytes that the worker asks for piece by piece: see [`crate::Asking`].
    Pieces(&'a mut (dyn Pieces + Send)),
}

/// Whoever has bytes that are fetched when they are asked for.
pub trait Pieces {
    /// Fills `buffer` with what lies at `offset`.
    ///
    /// # Errors
    /// When it cannot be had; the worker is told that, and goes on.
    fn piece(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<()>;
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WorkerFailure {
    /// It cannot be started.
    #[error("the worker cannot be started: {0}")]
    Start(io::Error),
    /// The stream that it was to read broke.
    #[error("the input broke off: {0}")]
    Input(io::Error),
    /// It died.
    #[error("the worker died ({0})")]
    Died(String),
    /// It took too long.
    #[error("the worker took longer than {} s", .0.as_secs())]
    TimedOut(Duration),
    /// Its answer is no frame, or too large.
    #[error("the worker's answer is not one")]
    BadAnswer,
    /// The job does not fit.
    #[error("the job is too large")]
    JobTooLarge,
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut out, byte| {
        out.push(char::from_digit(u32::from(byte >> 4), 16).unwrap_or('0'));
        out.push(char::from_digit(u32::from(byte & 15), 16).unwrap_or('0'));
        out
    })
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> = text.chars().map(|c| c.to_digit(16).and_then(|d| u8::try_from(d).ok())).collect();
    let digits = digits?;
    digits.len().is_multiple_of(2).then(|| digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}

impl WorkerCommand {
    /// This program as a worker.
    ///
    /// # Errors
    /// When the program's own path cannot be told.
    pub fn this_program() -> io::Result<Self> {
        Ok(Self { program: std::env::current_exe()?, arguments: vec!["worker".to_owned()] })
    }

    /// Runs one job.
    ///
    /// # Errors
    /// When there is no answer within the limits.
    pub fn run(&self, job: &[u8], input: Input<'_>, limits: WorkerLimits) -> Result<(Sandbox, Vec<u8>), WorkerFailure> {
        let answer = self.run_with(job, input, limits, |child| read_all(child, limits.answer))?;
        unframe(answer).ok_or(WorkerFailure::BadAnswer)
    }

    /// Runs one job whose answer is taken as it comes. What was taken counts for nothing when the run fails: the worker may have
    /// died, or said more than it may.
    ///
    /// # Errors
    /// When there is no whole answer within the limits, or what came was not taken.
    pub fn run_streamed(
        &self,
        job: &[u8],
        input: Input<'_>,
        limits: WorkerLimits,
        take: &mut (dyn FnMut(&[u8]) -> Result<(), NotTaken> + Send),
    ) -> Result<Sandbox, WorkerFailure> {
        let sandbox = self.run_with(job, input, limits, |child| take_all(child, limits.answer, take))?;
        sandbox.ok_or(WorkerFailure::BadAnswer)
    }

    fn run_with<T>(
        &self,
        job: &[u8],
        input: Input<'_>,
        limits: WorkerLimits,
        read: impl FnOnce(&mut Child) -> T,
    ) -> Result<T, WorkerFailure> {
        if job.len() > MAX_JOB {
            return Err(WorkerFailure::JobTooLarge);
        }
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).arg(hex(job)).arg(limits.memory.to_string());
        // Nothing of our surroundings: no secret in a variable, no folder to lean on but the one for temporary files.
        command
            .env_clear()
            .envs(std::env::var_os("TMPDIR").map(|folder| ("TMPDIR", folder)))
            .current_dir("/")
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut stream = None;
        let mut pieces = None;
        match input {
            Input::File(file) => {
                command.stdin(file);
            }
            Input::Stream(given) => {
                command.stdin(Stdio::piped());
                stream = Some(given);
            }
            Input::Pieces(given) => {
                let (ours, theirs) = UnixStream::pair().map_err(WorkerFailure::Start)?;
                command.stdin(Stdio::from(OwnedFd::from(theirs)));
                pieces = Some((given, ours));
            }
        }
        let mut child = command.spawn().map_err(WorkerFailure::Start)?;
        // What the command still holds of the worker's side would keep it open when the worker is gone.
        drop(command);
        let watch = Watch::start(&child, limits.time);
        let pumped = match (stream, child.stdin.take()) {
            (Some(stream), Some(stdin)) => pump(stream, stdin, &watch),
            _ => Ok(()),
        };
        watch.tell(Word::Busy);
        let answer = match pieces {
            None => read(&mut child),
            Some((pieces, socket)) => std::thread::scope(|scope| {
                let serving = scope.spawn(|| serve(pieces, &socket, &watch));
                let answer = read(&mut child);
                // It has said all that it has to say, or is gone: nobody asks any more.
                let _ = socket.shutdown(std::net::Shutdown::Both);
                let _ = serving.join();
                answer
            }),
        };
        let timed_out = watch.finish();
        let status = child.wait().map_err(WorkerFailure::Start)?;
        if timed_out {
            return Err(WorkerFailure::TimedOut(limits.time));
        }
        if !status.success() {
            return Err(WorkerFailure::Died(status.to_string()));
        }
        match pumped {
            Err(error) => Err(WorkerFailure::Input(error)),
            Ok(()) => Ok(answer),
        }
    }
}

/// Gives the child all of a stream. A child that wants no more is no error.
fn pump(stream: &mut dyn Read, mut stdin: ChildStdin, watch: &Watch) -> io::Result<()> {
    let mut buffer = vec![0; CHUNK];
    loop {
        watch.tell(Word::Idle);
        let length = match stream.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        watch.tell(Word::Busy);
        match stdin.write_all(&buffer[..length]) {
            // It may answer before it has read all: it found what it looked for, a limit, or its end. Its answer tells.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
            result => result?,
        }
    }
}

/// Answers the questions of a child until it has no more.
fn serve(pieces: &mut dyn Pieces, mut socket: &UnixStream, watch: &Watch) {
    let mut buffer = Vec::new();
    while let Some((offset, length)) = asking::question(&mut socket) {
        watch.tell(Word::Idle);
        buffer.clear();
        buffer.resize(length, 0);
        let had = pieces.piece(offset, &mut buffer).is_ok();
        watch.tell(Word::Busy);
        if asking::reply(&mut socket, had.then_some(&buffer)).is_err() {
            return;
        }
    }
}

/// Reads all that the child says.
fn read_all(child: &mut Child, limit: u64) -> Vec<u8> {
    let mut answer = Vec::new();
    if let Some(stdout) = child.stdout.take() {
        let _ = stdout.take(limit + 64).read_to_end(&mut answer);
    }
    // A child that said too much is still writing: it is of no more use.
    if answer.len() as u64 > limit {
        let _ = child.kill();
    }
    answer
}

/// What came of an answer is not what was to come: no more of it is wanted.
#[derive(Debug)]
pub struct NotTaken;

/// Takes all that the child says after its frame's head; none if that is not all, or not an answer.
fn take_all(child: &mut Child, limit: u64, take: &mut dyn FnMut(&[u8]) -> Result<(), NotTaken>) -> Option<Sandbox> {
    let mut taken = || {
        let mut stdout = child.stdout.take()?;
        let mut head = [0; HEAD];
        stdout.read_exact(&mut head).ok()?;
        let (sandbox, length) = walls_and_length(&head)?;
        let mut buffer = vec![0; CHUNK];
        let mut sum = 0_u64;
        loop {
            let length = match stdout.read(&mut buffer) {
                Ok(0) => break,
                Ok(length) => length,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(_) => return None,
            };
            sum += length as u64;
            if sum > limit {
                return None;
            }
            take(&buffer[..length]).ok()?;
        }
        (length == UNTIL_THE_END || length == sum).then_some(sandbox)
    };
    let taken = taken();
    if taken.is_none() {
        // What it still has to say is of no use.
        let _ = child.kill();
    }
    taken
}

/// What the child is doing, as far as we know.
enum Word {
    /// It has something to do.
    Busy,
    /// It waits for us, which is no fault of its own.
    Idle,
    /// It is done.
    Done,
}

/// A thread that watches the clock and kills a child whose time is up, also one that does not take what it is given.
struct Watch {
    words: Sender<Word>,
    thread: JoinHandle<bool>,
}

impl Watch {
    fn start(child: &Child, time: Duration) -> Self {
        let (words, heard) = channel();
        let id = child.id();
        Self { words, thread: std::thread::spawn(move || watch(&heard, id, time)) }
    }

    fn tell(&self, word: Word) {
        // A watch that is over has killed: what is told no longer matters.
        let _ = self.words.send(word);
    }

    /// Ends the watch; answers whether the time was up.
    fn finish(self) -> bool {
        self.tell(Word::Done);
        self.thread.join().unwrap_or(false)
    }
}

fn watch(heard: &Receiver<Word>, id: u32, mut left: Duration) -> bool {
    let mut busy = true;
    loop {
        let start = Instant::now();
        let word = if busy { heard.recv_timeout(left) } else { heard.recv().map_err(|_| RecvTimeoutError::Disconnected) };
        match word {
            Err(RecvTimeoutError::Timeout) => {
                if let Ok(id) = i32::try_from(id) {
                    // SAFETY: sends a signal to our own child, which has not been waited for, so its id is still its own.
                    #[allow(unsafe_code)]
                    unsafe {
                        libc::kill(id, libc::SIGKILL);
                    }
                }
                return true;
            }
            Ok(Word::Done) | Err(RecvTimeoutError::Disconnected) => return false,
            Ok(next) => {
                if busy {
                    left = left.saturating_sub(start.elapsed());
                }
                busy = matches!(next, Word::Busy);
            }
        }
    }
}

fn walls_and_length(head: &[u8]) -> Option<(Sandbox, u64)> {
    let (walls, length) = head.strip_prefix(MAGIC)?.split_first()?;
    let length = u64::from_le_bytes(length.try_into().ok()?);
    Some((Sandbox { limits: walls & 1 != 0, landlock: walls & 2 != 0, seccomp: walls & 4 != 0 }, length))
}

fn unframe(mut frame: Vec<u8>) -> Option<(Sandbox, Vec<u8>)> {
    let (sandbox, length) = walls_and_length(frame.get(..HEAD)?)?;
    frame.drain(..HEAD);
    (length == frame.len() as u64).then_some((sandbox, frame))
}

/// What a worker has to say.
pub enum Answer {
    /// All of it.
    Whole(Vec<u8>),
    /// It is said as it is found.
    Streamed(Say),
}

/// Says an answer.
pub type Say = Box<dyn FnOnce(&mut dyn Write) -> io::Result<()>>;

/// The worker's side: takes the arguments that [`WorkerCommand::run`] gave, lets `work` confine itself and do the job, and
/// writes the answer.
///
/// # Errors
/// When the arguments are not a job or the answer cannot be written.
pub fn answer(arguments: &[String], work: impl FnOnce(&[u8], u64) -> (Sandbox, Answer)) -> io::Result<()> {
    let refuse = || io::Error::from(io::ErrorKind::InvalidInput);
    let [job, memory] = arguments else { return Err(refuse()) };
    let job = unhex(job).ok_or_else(refuse)?;
    let memory = memory.parse().map_err(|_| refuse())?;
    crate::sandbox::end_with_parent();
    let (sandbox, answer) = work(&job, memory);
    let walls = u8::from(sandbox.limits) | u8::from(sandbox.landlock) << 1 | u8::from(sandbox.seccomp) << 2;
    let mut out = io::stdout().lock();
    out.write_all(MAGIC)?;
    out.write_all(&[walls])?;
    let length = match &answer {
        Answer::Whole(body) => body.len() as u64,
        Answer::Streamed(_) => UNTIL_THE_END,
    };
    out.write_all(&length.to_le_bytes())?;
    match answer {
        Answer::Whole(body) => out.write_all(&body)?,
        Answer::Streamed(say) => say(&mut out)?,
    }
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> WorkerCommand {
        WorkerCommand { program: "/bin/sh".into(), arguments: vec!["-c".into(), script.into()] }
    }

    fn run(script: &str, limits: WorkerLimits) -> Result<(Sandbox, Vec<u8>), WorkerFailure> {
        shell(script).run(b"job", Input::Stream(&mut io::empty()), limits)
    }

    #[test]
    fn jobs_survive_the_journey() {
        let bytes: Vec<u8> = (0..=255).collect();
        assert_eq!(unhex(&hex(&bytes)), Some(bytes));
        assert_eq!(unhex("abc"), None);
        assert_eq!(unhex("zz"), None);
    }

    #[test]
    fn whatever_a_worker_does_is_an_answer_or_a_failure() {
        let quick = WorkerLimits { time: Duration::from_millis(300), answer: 1 << 16, ..WorkerLimits::default() };
        let generous = WorkerLimits { answer: 1 << 16, ..WorkerLimits::default() };
        assert!(matches!(run("kill -SEGV $$", generous), Err(WorkerFailure::Died(_))));
        assert!(matches!(run("exit 3", generous), Err(WorkerFailure::Died(_))));
        assert!(matches!(run("exec sleep 60", quick), Err(WorkerFailure::TimedOut(_))));
        assert!(matches!(run("echo hello", generous), Err(WorkerFailure::BadAnswer)));
        assert!(matches!(run("exec yes", generous), Err(WorkerFailure::Died(_) | WorkerFailure::BadAnswer)));
        assert!(matches!(run("printf 'LWK1\\007\\377\\377\\377\\377\\377\\377\\377\\377x'", generous), Err(WorkerFailure::BadAnswer)));
        let (sandbox, body) = run("printf 'LWK1\\007\\002\\000\\000\\000\\000\\000\\000\\000ok'", generous).unwrap();
        assert_eq!((sandbox.is_whole(), body.as_slice()), (true, b"ok".as_slice()));
    }

    #[test]
    fn an_answer_is_taken_as_it_comes() {
        let limits = WorkerLimits { answer: 1 << 16, ..WorkerLimits::default() };
        let run = |script: &str| {
            let mut taken = Vec::new();
            let mut take = |bytes: &[u8]| {
                taken.extend_from_slice(bytes);
                if bytes.contains(&b'!') { Err(NotTaken) } else { Ok(()) }
            };
            let ran = shell(script).run_streamed(b"job", Input::Stream(&mut io::empty()), limits, &mut take);
            ran.map(|sandbox| (sandbox.is_whole(), taken))
        };
        let endless = "printf 'LWK1\\007\\377\\377\\377\\377\\377\\377\\377\\377'";
        assert_eq!(run(&format!("{endless}; printf a; printf b")).unwrap(), (true, b"ab".to_vec()));
        assert_eq!(run("printf 'LWK1\\007\\002\\000\\000\\000\\000\\000\\000\\000ok'").unwrap(), (true, b"ok".to_vec()));
        assert!(run("printf 'LWK1\\007\\003\\000\\000\\000\\000\\000\\000\\000ok'").is_err(), "less than was announced");
        assert!(run(&format!("{endless}; printf a; exit 1")).is_err(), "it did not end well");
        assert!(run(&format!("{endless}; exec yes")).is_err(), "too much");
        assert!(run(&format!("{endless}; printf '!'; exec sleep 60")).is_err(), "nobody waits for the rest");
        assert!(run("echo hello").is_err() && run("true").is_err());
    }

    #[test]
    fn a_worker_that_takes_no_input_is_stopped_and_one_that_waits_for_it_is_not() {
        let quick = WorkerLimits { time: Duration::from_millis(700), answer: 1 << 16, ..WorkerLimits::default() };
        let run = |script: &str, input: &mut dyn Read| shell(script).run(b"job", Input::Stream(input), quick);
        let mut endless = io::repeat(0);
        assert!(matches!(run("exec sleep 60", &mut endless), Err(WorkerFailure::TimedOut(_))));
        assert!(matches!(run("exec >&-; exit 1", &mut endless), Err(WorkerFailure::Died(_))));

        /// Takes longer to give its one byte than a worker may take.
        struct Slow(usize);
        impl Read for Slow {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                let given = self.0.min(buffer.len());
                std::thread::park_timeout(Duration::from_millis(800));
                self.0 -= given;
                Ok(given)
            }
        }
        let script = "cat >/dev/null; printf 'LWK1\\000\\000\\000\\000\\000\\000\\000\\000\\000'";
        assert!(run(script, &mut Slow(1)).is_ok());
    }

    #[test]
    fn a_worker_has_none_of_our_environment() {
        let (_, body) =
            run("test -z \"$HOME$USER\" && printf 'LWK1\\000\\000\\000\\000\\000\\000\\000\\000\\000'", WorkerLimits::default()).unwrap();
        assert!(body.is_empty());
    }
}
