//! What the running kernel lacks of what the programs need, by its BTF and never by its version: distributions
//! backport. Pure.

use std::fmt;

use super::btf::Btf;
use super::fields;
use super::hooks::HOOKS;

/// Types that come with what the programs use.
const FEATURES: [(&str, &str); 2] =
    [("bpf_ringbuf.consumer_pos", "BPF ring buffer"), ("bpf_iter__task.task", "BPF iterator over tasks")];

/// Something that the kernel lacks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lack {
    /// Such as `tracepoint cgroup_mkdir` or `field task_struct.start_boottime`.
    pub what: String,
    /// What it is for.
    pub purpose: &'static str,
    /// Whether the programs can't do without. Else some fields of records are null.
    pub needed: bool,
}

impl fmt::Display for Lack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

/// All that it lacks.
#[must_use]
pub fn lacks(btf: &Btf) -> Vec<Lack> {
    let tracepoints = HOOKS.iter().filter(|hook| btf.tracepoint_args(hook).is_err()).map(|hook| Lack {
        what: format!("tracepoint {hook}"),
        purpose: purpose(hook),
        needed: true,
    });
    let fields =
        fields::FIELDS.iter().filter(|(_, names)| fields::offset(btf, names).is_err()).map(|(_, names)| {
            Lack {
                what: format!("field {}", names.join(" or ")),
                purpose: "the programs read it",
                needed: true,
            }
        });
    let features = FEATURES
        .iter()
        .filter(|(field, _)| fields::offset(btf, &[field]).is_err())
        .map(|(_, name)| Lack { what: (*name).into(), purpose: "the programs need it", needed: true });
    let facts = fields::GROUPS.iter().filter(|group| group.offsets(btf).is_none()).map(|group| Lack {
        what: group.what.into(),
        purpose: "records have null there",
        needed: false,
    });
    features.chain(tracepoints).chain(fields).chain(facts).collect()
}

/// The first few in words.
#[must_use]
pub fn in_words(lacks: &[Lack]) -> String {
    const SHOWN: usize = 3;
    let shown: Vec<String> = lacks.iter().take(SHOWN).map(ToString::to_string).collect();
    let more = match lacks.len().saturating_sub(SHOWN) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("{}{more}", shown.join(", "))
}

/// Before 5.11, maps are charged to `RLIMIT_MEMLOCK`; then `struct bpf_map` lost the field for it.
#[must_use]
pub fn charges_memlock(btf: &Btf) -> bool {
    btf.offset("bpf_map", "memory").is_ok()
}

/// What a hook is for.
fn purpose(hook: &str) -> &'static str {
    match hook {
        "cgroup_mkdir" => "it shows that a session begins",
        "cgroup_rmdir" => "it shows that a session never started",
        "cgroup_attach_task" => "it shows who enters a session from outside",
        "sched_process_fork" => "it shows the members of a session",
        "sched_process_exec" => "it shows the main process of a session",
        "sched_process_exit" => "it shows how a session ends",
        "sched_process_free" => "it shows the ends that the exit hook missed",
        "mark_victim" => "it distinguishes an OOM kill from another SIGKILL",
        "signal_generate" => "it shows who sent a signal",
        _ => "a program stands there",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::btf::tests::sample;

    #[test]
    fn a_kernel_of_nothing_lacks_everything() {
        let lacks = lacks(&Btf::parse(&sample()).unwrap());
        let needed = lacks.iter().filter(|lack| lack.needed).count();
        assert_eq!(needed, FEATURES.len() + HOOKS.len() + fields::FIELDS.len());
        assert_eq!(lacks.len() - needed, fields::GROUPS.len());
        let words: Vec<String> = lacks.iter().map(ToString::to_string).collect();
        assert!(words.contains(&"tracepoint cgroup_mkdir".into()), "{words:?}");
        assert!(words.contains(&"field cgroup.ancestors or cgroup.ancestor_ids".into()), "{words:?}");
    }

    #[test]
    fn every_hook_has_a_purpose_of_its_own() {
        for hook in HOOKS {
            assert_ne!(purpose(hook), purpose(""), "{hook}");
        }
    }

    #[test]
    fn a_few_are_named_and_the_rest_counted() {
        let lack = |what: &str| Lack { what: what.into(), purpose: "", needed: true };
        let all = ["a", "b", "c", "d", "e"].map(lack);
        assert_eq!(in_words(&all[..2]), "a, b");
        assert_eq!(in_words(&all), "a, b, c and 2 more");
    }
}
