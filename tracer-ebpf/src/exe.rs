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

/// Writes the names of a file's path, as the task sees it; gives their length and how the way ended.
#[inline(always)]
pub fn names(task: Ptr, file: Ptr, names: &mut [u8]) -> (u32, u32) {
    if HAS_EXE.load() == 0 {
        return (0, ending::ROOT);
    }
    let fs: Ptr = task::probe(task, &TASK_FS);
    let root = place_at(fs, FS_ROOT.load());
    let mut at = place_at(file, FILE_PATH.load());
    let mut len = 0usize;
    for _ in 0..STEPS {
        if at == root {
            return (len as u32, ending::ROOT);
        }
        if at.dentry == task::probe::<Ptr>(at.mount, &VFSMOUNT_ROOT) {
            match mounted_on(at.mount) {
                Some(place) => at = place,
                None => return (len as u32, ending::ELSEWHERE),
            }
            continue;
        }
        if len >= EXE_PATH_LEN {
            break;
        }
        len += name(at.dentry, names, len);
        let parent: Ptr = task::probe(at.dentry, &DENTRY_PARENT);
        if parent == at.dentry {
            return (len as u32, ending::ELSEWHERE);
        }
        at.dentry = parent;
    }
    (len as u32, ending::TOO_LONG)
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
