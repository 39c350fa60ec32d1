//! The path of an executable: its names, from the file up to the root of its process. `bpf_d_path` is not for
//! tracepoints.

use aya_ebpf::helpers::generated::bpf_probe_read_kernel_str;
use debugtrail_common::exe::{EXE_PATH_LEN, NAME_LEN, ending};

use crate::task::{
    self, DENTRY_NAME, DENTRY_PARENT, FILE_PATH, FS_ROOT, HAS_EXE, MOUNT_PARENT, MOUNT_POINT, MOUNT_VFSMOUNT,
    PATH_DENTRY, PATH_MNT, Ptr, TASK_FS, VFSMOUNT_ROOT,
};

/// Names and mounts on the way up at most.
const STEPS: usize = 40;

/// A place in the tree of files: a name in a mount.
#[derive(Clone, Copy, PartialEq)]
struct Place {
    dentry: Ptr,
    mount: Ptr,
}

/// How far the way up has come. It is kept in a map and read anew at each step: of what comes out of a map
/// the verifier knows nothing, so that all ways through a step look the same to it at the next one. With the
/// length in a register it distinguishes them, and before Linux 6.12 gives up after a million instructions.
#[repr(C)]
pub struct Walk {
    /// Address of the name's dentry.
    dentry: u64,
    /// Address of its vfsmount.
    mount: u64,
    /// Bytes of names so far.
    len: u64,
}

impl Walk {
    #[inline(always)]
    fn at(&self) -> Place {
        Place { dentry: again(&self.dentry) as Ptr, mount: again(&self.mount) as Ptr }
    }

    #[inline(always)]
    fn go_to(&mut self, place: Place) {
        (self.dentry, self.mount) = (place.dentry as u64, place.mount as u64);
    }

    #[inline(always)]
    fn len(&self) -> usize {
        again(&self.len) as usize
    }
}

/// Reads it from where it is, also where its value is known.
#[inline(always)]
fn again(value: &u64) -> u64 {
    // SAFETY: a reference is valid for reads.
    unsafe { core::ptr::from_ref(value).read_volatile() }
}

/// Writes the names of a file's path, as the task sees it; gives their length and how the way ended.
#[inline(always)]
pub fn names(task: Ptr, file: Ptr, walk: &mut Walk, names: &mut [u8]) -> (u32, u32) {
    if HAS_EXE.load() == 0 {
        return (0, ending::ROOT);
    }
    let fs: Ptr = task::probe(task, &TASK_FS);
    let root = place_at(fs, FS_ROOT.load());
    walk.go_to(place_at(file, FILE_PATH.load()));
    walk.len = 0;
    let mut ended = ending::TOO_LONG;
    for _ in 0..STEPS {
        if let Some(ending) = step(walk, root, names) {
            ended = ending;
            break;
        }
    }
    (walk.len() as u32, ended)
}

/// One name or mount up; gives how the way ended, if it did.
#[inline(always)]
fn step(walk: &mut Walk, root: Place, names: &mut [u8]) -> Option<u32> {
    let at = walk.at();
    if at == root {
        return Some(ending::ROOT);
    }
    if at.dentry == task::probe::<Ptr>(at.mount, &VFSMOUNT_ROOT) {
        let Some(place) = mounted_on(at.mount) else { return Some(ending::ELSEWHERE) };
        walk.go_to(place);
        return None;
    }
    let len = walk.len();
    if len >= EXE_PATH_LEN {
        return Some(ending::TOO_LONG);
    }
    walk.len += name(at.dentry, names, len) as u64;
    let parent: Ptr = task::probe(at.dentry, &DENTRY_PARENT);
    if parent == at.dentry {
        return Some(ending::ELSEWHERE);
    }
    walk.go_to(Place { dentry: parent, mount: at.mount });
    None
}

/// Copies one name with its NUL; gives its length.
#[inline(always)]
fn name(dentry: Ptr, names: &mut [u8], at: usize) -> usize {
    let name: Ptr = task::probe(dentry, &DENTRY_NAME);
    // SAFETY: `at` is below EXE_PATH_LEN, masked for the verifier, and `names` holds NAME_LEN bytes more.
    let read = unsafe {
        let to = names.as_mut_ptr().add(at & (EXE_PATH_LEN - 1));
        bpf_probe_read_kernel_str(to.cast(), NAME_LEN as u32, name)
    };
    if read > 0 { read as usize & (2 * NAME_LEN - 1) } else { 0 }
}

/// Where a mount is mounted; `None` at the top of its namespace.
#[inline(always)]
fn mounted_on(vfsmount: Ptr) -> Option<Place> {
    // SAFETY: every vfsmount is inside a `struct mount` (fs/mount.h); only read through a helper.
    let mount = unsafe { vfsmount.byte_sub(MOUNT_VFSMOUNT.load() as usize) };
    let parent: Ptr = task::probe(mount, &MOUNT_PARENT);
    if parent == mount {
        return None;
    }
    // SAFETY: as before.
    let parent_vfsmount = unsafe { parent.byte_add(MOUNT_VFSMOUNT.load() as usize) };
    Some(Place { dentry: task::probe(mount, &MOUNT_POINT), mount: parent_vfsmount })
}

/// The `struct path` at the offset of a structure.
#[inline(always)]
fn place_at(base: Ptr, offset: u32) -> Place {
    // SAFETY: only read through a helper.
    let path = unsafe { base.byte_add(offset as usize) };
    Place { dentry: task::probe(path, &PATH_DENTRY), mount: task::probe(path, &PATH_MNT) }
}
