//! Signals sent to a main process: only its wait status shows which of them ended it.

use crate::process::COMM_LEN;

/// How many are kept, of different numbers; a power of two. The next one takes the oldest's place.
pub const SIGNALS: usize = 8;

/// What the kernel knows of a signal's origin: the `siginfo` that `signal_generate` passes.
pub mod origin {
    /// `SEND_SIG_NOINFO`: sent by the kernel on behalf of the current task. Since Linux 7.3 kill(2) leaves it at that as
    /// well, as a probe of `do_send_sig_info` shows.
    pub const NO_INFO: u32 = 0;
    /// `SEND_SIG_PRIV`: the kernel's own; the current task is whoever happened to run.
    pub const KERNEL: u32 = 1;
    /// A structure, of which `code` is the `si_code`.
    pub const GIVEN: u32 = 2;
}

/// What the current task was when the signal was sent, and how the signal was sent; bits of one word.
pub mod sender {
    /// It was about to end (`PF_EXITING`).
    pub const EXITING: u32 = 1;
    /// It was the first process of its pid namespace.
    pub const INIT: u32 = 2;
    /// It belonged to a cgroup of ours.
    pub const MEMBER: u32 = 4;
    /// It was the main process's parent then, or a descendant of that. Never set where that parent is the first
    /// process of its pid namespace, which adopts any process.
    pub const OF_PARENT: u32 = 8;
    /// It was in the pid namespace and in the mount namespace of the main process's parent.
    pub const BESIDE_PARENT: u32 = 16;
    /// The signal was for the whole process. The kernel sends a fault's to the thread that made it.
    pub const TO_PROCESS: u32 = 32;
    /// `syscall` is known, also where it says that there was none.
    pub const SYSCALL_KNOWN: u32 = 64;
}

/// Not in a system call, as the kernel itself notes it: `pt_regs.orig_ax` or `pt_regs.syscallno`.
pub const NO_SYSCALL: i32 = -1;

/// The last signal of one number that was delivered to a main process, or made pending. The kernel
/// holds the process's `siglock` while it is written.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SignalSent {
    /// Nanoseconds of `CLOCK_BOOTTIME`.
    pub boot_ns: u64,
    /// Start of the sender's process, nanoseconds of `CLOCK_BOOTTIME`.
    pub sender_start_boot_ns: u64,
    /// The cgroup that the sender belongs to by membership, else the one it was in.
    pub sender_cgroup_id: u64,
    /// Start of the process that had started the sender's, nanoseconds of `CLOCK_BOOTTIME`.
    pub sender_parent_start_boot_ns: u64,
    /// The sender's `tgid` in the initial pid namespace.
    pub sender_tgid: u32,
    /// `tgid` of its parent.
    pub sender_parent_tgid: u32,
    /// Bits of [`sender`].
    pub sender_state: u32,
    /// Number of the signal; 0 for an empty place.
    pub signal: u32,
    /// One of [`origin`].
    pub origin: u32,
    /// `si_code`, where the origin is [`origin::GIVEN`].
    pub code: i32,
    /// Number of the system call that the current task was in; [`NO_SYSCALL`] for none, and where the kernel
    /// does not show it. Meaningless in an empty place, where all is 0.
    pub syscall: i32,
    /// Always 0.
    pub reserved: u32,
    /// `task_struct.comm` of the sending thread.
    pub sender_comm: [u8; COMM_LEN],
}

impl SignalSent {
    /// No signal.
    pub const NONE: Self = Self {
        boot_ns: 0,
        sender_start_boot_ns: 0,
        sender_cgroup_id: 0,
        sender_parent_start_boot_ns: 0,
        sender_tgid: 0,
        sender_parent_tgid: 0,
        sender_state: 0,
        signal: 0,
        origin: 0,
        code: 0,
        syscall: 0,
        reserved: 0,
        sender_comm: [0; COMM_LEN],
    };
}
