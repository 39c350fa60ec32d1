//! The path of an executable, as the kernel side collects it.

/// Once the names found so far take this many bytes, no more are looked for.
pub const EXE_PATH_LEN: usize = 256;
/// Longest name of a file, with its NUL (`NAME_MAX` of include/uapi/linux/limits.h).
pub const NAME_LEN: usize = 256;
/// Room for both.
pub const EXE_LEN: usize = EXE_PATH_LEN + NAME_LEN;

/// The names on the way from the executable up to the root of its process, each with a NUL: "busybox\0bin\0" is
/// `/bin/busybox`. Resolved: no link is among them.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExePath {
    /// How many bytes of `names` there are; 0 where it could not be read.
    pub len: u32,
    /// One of [`ending`].
    pub ending: u32,
    /// The names.
    pub names: [u8; EXE_LEN],
}

/// Where the way up ended.
pub mod ending {
    /// At the process's root.
    pub const ROOT: u32 = 0;
    /// At the root of a file system that is mounted nowhere below it, such as a memfd's.
    pub const ELSEWHERE: u32 = 1;
    /// Not at all: there are more names than there is room.
    pub const TOO_LONG: u32 = 2;
}

impl ExePath {
    /// No path.
    pub const NONE: Self = Self { len: 0, ending: ending::ROOT, names: [0; EXE_LEN] };
}
