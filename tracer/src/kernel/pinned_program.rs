//! Pinned programs, opened without what aya wants to know of them: it asks the kernel for their BTF by id, which is for
//! CAP_SYS_ADMIN alone.

use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// `enum bpf_cmd` and `enum bpf_attach_type` of include/uapi/linux/bpf.h.
const OBJ_GET: libc::c_long = 7;
const LINK_CREATE: libc::c_long = 28;
const ITER_CREATE: libc::c_long = 33;
const TRACE_ITER: u32 = 28;

/// The part of `union bpf_attr` that BPF_OBJ_GET uses.
#[repr(C)]
struct Pin {
    path: u64,
    fd: u32,
    flags: u32,
}

/// Opens what is pinned at a path.
pub(super) fn open(path: &Path) -> io::Result<OwnedFd> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    call(OBJ_GET, &Pin { path: path.as_ptr() as u64, fd: 0, flags: 0 })
}

/// A file whose reading runs a program of type `iter` once for each of what it goes over.
pub(super) fn iterator(program: BorrowedFd<'_>) -> io::Result<File> {
    // program, no target, kind, no flags.
    let link = call(LINK_CREATE, &[program.as_raw_fd().cast_unsigned(), 0, TRACE_ITER, 0])?;
    call(ITER_CREATE, &[link.as_raw_fd().cast_unsigned(), 0]).map(File::from)
}

/// A command that gives a descriptor.
fn call<A>(command: libc::c_long, attribute: &A) -> io::Result<OwnedFd> {
    // SAFETY: the attribute is as large as is said, and what it points to outlives the call.
    let fd = unsafe { libc::syscall(libc::SYS_bpf, command, std::ptr::from_ref(attribute), size_of::<A>()) };
    let fd = i32::try_from(fd).ok().filter(|fd| *fd >= 0).ok_or_else(io::Error::last_os_error)?;
    // SAFETY: the kernel has just given it to this process.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}
