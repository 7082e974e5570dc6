//! What a worker may still do: compute, and read what it was given.

use landlock::{ABI, Access, AccessFs, CompatLevel, Compatible, PathBeneath, Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetStatus};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule, TargetArch, apply_filter,
};
use std::collections::BTreeMap;
use std::fs::File;

/// What of the file system a worker may read.
#[derive(Debug)]
pub enum Reach<'a> {
    /// Nothing: it has its input and no more.
    Nothing,
    /// What lies below an open folder.
    Below(&'a File),
}

/// Which walls stand. Not every kernel has all of them; which ones do is told, never assumed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sandbox {
    /// Limits of memory, descriptors and written bytes.
    pub limits: bool,
    /// Landlock: the file system is out of reach.
    pub landlock: bool,
    /// Seccomp: only the system calls that parsing needs.
    pub seccomp: bool,
}

impl Sandbox {
    /// Whether all walls stand.
    #[must_use]
    pub const fn is_whole(self) -> bool {
        self.limits && self.landlock && self.seccomp
    }

    /// The walls that stand around both of two threads.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self { limits: self.limits && other.limits, landlock: self.landlock && other.landlock, seccomp: self.seccomp && other.seccomp }
    }
}

/// Confines this process for good: resource limits, then the file system, then system calls. The last two hold for the calling
/// thread and those that it starts: one that was started before has to call this itself.
#[must_use]
pub fn confine(memory: u64, reach: &Reach<'_>) -> Sandbox {
    Sandbox { limits: limit(memory), landlock: wall_off(reach).unwrap_or(false), seccomp: filter_calls().is_some() }
}

/// Gives up sockets for good: for the calling thread, those that it starts and every program that they start. Answers whether the
/// kernel holds us to it.
#[must_use]
pub fn forgo_sockets() -> bool {
    fn forgo() -> Option<()> {
        let architecture = TargetArch::try_from(std::env::consts::ARCH).ok()?;
        // The second one opens sockets too, without the first being called.
        let calls = [libc::SYS_socket, libc::SYS_io_uring_setup];
        let rules: BTreeMap<i64, Vec<SeccompRule>> = calls.into_iter().map(|call| (call, vec![])).collect();
        let filter = SeccompFilter::new(rules, SeccompAction::Allow, SeccompAction::Errno(libc::EPERM as u32), architecture).ok()?;
        let program: BpfProgram = filter.try_into().ok()?;
        apply_filter(&program).ok()
    }
    forgo().is_some()
}

/// The most that is written to a file for content that memory is too small for.
const SPILL: u64 = 2 << 30;

fn limit(memory: u64) -> bool {
    let rows = [
        (libc::RLIMIT_AS, memory),
        // Of all its threads. Who started it watches the clock; this is for a worker whose starter was killed.
        (libc::RLIMIT_CPU, 1200),
        (libc::RLIMIT_NOFILE, 256),
        (libc::RLIMIT_CORE, 0),
        // Answers leave by a pipe; the one file that may be written to has no name.
        (libc::RLIMIT_FSIZE, SPILL),
    ];
    rows.into_iter().all(|(resource, value)| {
        let limit = libc::rlimit { rlim_cur: value, rlim_max: value };
        // SAFETY: `limit` is a valid `struct rlimit` that outlives the call.
        #[allow(unsafe_code)]
        let done = unsafe { libc::setrlimit(resource, &raw const limit) };
        done == 0
    })
}

/// Has the kernel stop this process when the one that started it ends, in whatever way: nobody would take its answer.
pub(crate) fn end_with_parent() {
    // SAFETY: the call reads its arguments and nothing of our memory.
    #[allow(unsafe_code)]
    let asked = unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
    // Should the parent have ended before that, its answer goes nowhere, which ends it too.
    debug_assert_eq!(asked, 0);
}

fn wall_off(reach: &Reach<'_>) -> Result<bool, landlock::RulesetError> {
    let abi = ABI::V5;
    let ruleset = Ruleset::default().set_compatibility(CompatLevel::BestEffort).handle_access(AccessFs::from_all(abi))?.create()?;
    let ruleset = match reach {
        Reach::Nothing => ruleset,
        Reach::Below(folder) => ruleset.add_rule(PathBeneath::new(folder, AccessFs::from_read(abi)))?,
    };
    Ok(ruleset.restrict_self()?.ruleset != RulesetStatus::NotEnforced)
}

/// The calls that reading, computing and answering need. All others answer EPERM: a parser that was taken over can open no
/// socket, start no program and trace nobody.
const CALLS: &[libc::c_long] = &[
    libc::SYS_brk,
    libc::SYS_clock_gettime,
    libc::SYS_close,
    libc::SYS_dup,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_fadvise64,
    libc::SYS_fcntl,
    libc::SYS_fstat,
    // Of a descriptor that is open for writing: the spill's alone.
    libc::SYS_ftruncate,
    libc::SYS_futex,
    libc::SYS_getdents64,
    libc::SYS_getpid,
    libc::SYS_getrandom,
    libc::SYS_gettid,
    libc::SYS_lseek,
    libc::SYS_madvise,
    libc::SYS_mremap,
    libc::SYS_munmap,
    libc::SYS_newfstatat,
    libc::SYS_openat,
    libc::SYS_openat2,
    // What `poll` is on machines younger than x86.
    libc::SYS_ppoll,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_poll,
    libc::SYS_pread64,
    libc::SYS_read,
    libc::SYS_readlinkat,
    libc::SYS_readv,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sched_yield,
    libc::SYS_sigaltstack,
    libc::SYS_statx,
    libc::SYS_tgkill,
    libc::SYS_write,
    libc::SYS_writev,
];

fn filter_calls() -> Option<()> {
    let architecture = TargetArch::try_from(std::env::consts::ARCH).ok()?;
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = CALLS.iter().map(|call| (*call, vec![])).collect();
    // Memory may be written to or executed; none becomes executable.
    let executable = SeccompCondition::new(2, SeccompCmpArgLen::Qword, SeccompCmpOp::MaskedEq(libc::PROT_EXEC as u64), 0).ok()?;
    for call in [libc::SYS_mmap, libc::SYS_mprotect] {
        rules.insert(call, vec![SeccompRule::new(vec![executable.clone()]).ok()?]);
    }
    let filter = SeccompFilter::new(rules, SeccompAction::Errno(libc::EPERM as u32), SeccompAction::Allow, architecture).ok()?;
    let program: BpfProgram = filter.try_into().ok()?;
    apply_filter(&program).ok()
}
