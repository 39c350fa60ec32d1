//! What the programs must know of the running kernel: offsets and argument counts, by name of the
//! global that takes them. Pure.

use debugtrail_common::{
    fields::{
        ANCESTORS_ARE_IDS, EXIT_HAS_GROUP_DEAD, HAS_SYSCALL, OOM_HAS_TASK, PT_REGS_IN_STACK, PT_REGS_SYSCALL,
        SYSCALL_NUMBER, TASK_PT_REGS, TASK_STACK,
    },
    kernel_fields, optional_kernel_fields,
};

use super::btf::{Btf, BtfError};

macro_rules! field_table {
    ($($name:ident = $($field:literal)|+;)*) => {
        &[$((stringify!($name), &[$($field),+])),*]
    };
}

/// Global -> the names a field goes by, newest kernel first.
pub(super) const FIELDS: &[(&str, &[&str])] = kernel_fields!(field_table);

/// Fields that a kernel may lack without more than one fact going missing.
#[derive(Debug)]
pub(super) struct Group {
    /// Global that is 1 where all of them are there.
    has: &'static str,
    /// The fact that they give.
    pub(super) what: &'static str,
    fields: &'static [(&'static str, &'static [&'static str])],
}

macro_rules! group_table {
    ($($has:ident $what:literal { $($name:ident = $($field:literal)|+;)* })*) => {
        &[$(Group { has: stringify!($has), what: $what, fields: field_table! { $($name = $($field)|+;)* } }),*]
    };
}

/// Every group.
pub(super) const GROUPS: &[Group] = optional_kernel_fields!(group_table);

impl Group {
    /// The offsets of its fields; `None` where one is missing.
    pub(super) fn offsets(&self, btf: &Btf) -> Option<Vec<(&'static str, u32)>> {
        self.fields.iter().map(|(global, names)| Some((*global, offset(btf, names).ok()?))).collect()
    }
}

/// The value of every global.
///
/// # Errors
///
/// The first field or tracepoint that this kernel lacks.
pub fn globals(btf: &Btf) -> Result<Vec<(&'static str, u32)>, BtfError> {
    let mut globals = Vec::with_capacity(FIELDS.len() + 2);
    for (global, names) in FIELDS {
        globals.push((*global, offset(btf, names)?));
    }
    for group in GROUPS {
        if let Some(offsets) = group.offsets(btf) {
            globals.extend(offsets);
            globals.push((group.has, 1));
        }
    }
    // Counted, never guessed from a version: distributions backport.
    let exit_has_group_dead = btf.tracepoint_args("sched_process_exit")? >= 2;
    globals.push((EXIT_HAS_GROUP_DEAD, exit_has_group_dead.into()));
    // `(pid)` became `(task, uid)`.
    let oom_has_task = btf.tracepoint_args("mark_victim")? >= 2;
    globals.push((OOM_HAS_TASK, oom_has_task.into()));
    globals.push((ANCESTORS_ARE_IDS, offset(btf, &["cgroup.ancestor_ids"]).is_ok().into()));
    if let Ok(syscall) = offset(btf, &SYSCALL_NUMBER) {
        globals.push((PT_REGS_SYSCALL, syscall));
        if btf.has_function(TASK_PT_REGS) {
            globals.push((HAS_SYSCALL, 1));
        } else if let Some((stack, registers)) = registers_in_stack(btf) {
            globals.extend([(TASK_STACK, stack), (PT_REGS_IN_STACK, registers)]);
        }
    }
    Ok(globals)
}

/// Where a task's stack is noted, and where in it the registers are: at its end. BTF does not give the size
/// of a stack: it is `THREAD_SIZE` of arch/x86/include/asm/page_64_types.h, of kernels that lack the helper.
fn registers_in_stack(btf: &Btf) -> Option<(u32, u32)> {
    const THREAD_SIZE: u32 = 16 << 10;
    if !cfg!(target_arch = "x86_64") {
        return None;
    }
    Some((offset(btf, &["task_struct.stack"]).ok()?, THREAD_SIZE.checked_sub(btf.size("pt_regs")?)?))
}

pub(super) fn offset(btf: &Btf, names: &[&str]) -> Result<u32, BtfError> {
    let mut result = Err(BtfError::Malformed("a field has no name"));
    for name in names {
        result = name.split('+').map(|step| step_offset(btf, step)).sum();
        if result.is_ok() {
            break;
        }
    }
    result
}

/// Offset of `structure.member`.
fn step_offset(btf: &Btf, step: &str) -> Result<u32, BtfError> {
    let (structure, member) = step.split_once('.').unwrap_or((step, ""));
    btf.offset(structure, member)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_is_named_as_structure_and_member() {
        let grouped = GROUPS.iter().flat_map(|group| group.fields);
        for (global, names) in FIELDS.iter().chain(grouped) {
            for step in names.iter().flat_map(|name| name.split('+')) {
                assert_eq!(step.split('.').count(), 2, "{global}: {step}");
            }
        }
    }
}
