//! What the memory controller counts, per cgroup. Pure.
//!
//! One number alone shows nothing: an earlier kill counts, too, and v1 also counts what reclaim averted. But
//! the cgroup whose limit was hit has counted, so of two levels of which one has not, it is the other; and
//! where neither has, it was further out.

use crate::cgroup::Place;
use crate::record::OomLimit;

/// The paths of the container's own cgroup and of its pod's, of a cgroup of the container or below it.
pub(super) fn levels(path: &str) -> (Option<&str>, Option<&str>) {
    let ends = path.match_indices('/').map(|(at, _)| at).chain([path.len()]);
    let (mut container, mut pod) = (None, None);
    for level in ends.map(|end| &path[..end]) {
        match Place::of(level) {
            Place::Pod { .. } => (container, pod) = (None, Some(level)),
            Place::Container { inner: false, .. } | Place::Bare { inner: false, .. } => {
                container = Some(level);
            }
            Place::Container { .. } | Place::Bare { .. } | Place::Other => {}
        }
    }
    (container, pod)
}

/// Whether the limit of the cgroup itself was ever hit beyond help, by v2's `memory.events.local`.
pub(super) fn hit_v2(events: Option<&str>) -> Option<bool> {
    let count = events?.lines().find_map(|line| line.strip_prefix("oom "))?;
    Some(count.trim().parse::<u64>().ok()? > 0)
}

/// Whether the limit of the cgroup itself was ever hit, by v1's `memory.failcnt`.
pub(super) fn hit_v1(failures: Option<&str>) -> Option<bool> {
    Some(failures?.trim().parse::<u64>().ok()? > 0)
}

/// Whose limit it was, by whether those of the container and of the pod were ever hit.
pub(super) fn limit(container: Option<bool>, pod: Option<bool>) -> Option<OomLimit> {
    match (container?, pod?) {
        (true, false) => Some(OomLimit::Container),
        (false, true) => Some(OomLimit::Pod),
        (false, false) => Some(OomLimit::Node),
        (true, true) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POD: &str = "/kubepods.slice/kubepods-pod78089609_1111_4222_8333_444455556666.slice";
    const ID: &str = "a24ec411d2fbb5a3c5dbd4c9e5fbbb3b4e2f1d0c9b8a79685746352413021fff";

    #[test]
    fn the_levels_of_a_path() {
        let container = format!("{POD}/crio-{ID}.scope");
        let inner = format!("{container}/container");
        for path in [&container, &inner] {
            assert_eq!(levels(path), (Some(container.as_str()), Some(POD)));
        }
        assert_eq!(levels(POD), (None, Some(POD)));
        assert_eq!(levels("/user.slice"), (None, None));
        // A container may give its own cgroups any name.
        let outer = format!("/kubepods/pod11111111/{}", "b".repeat(64));
        let nested = format!("{outer}{inner}");
        let expected = (Some(outer.as_str()), Some("/kubepods/pod11111111"));
        assert_eq!(levels(&nested), expected);
    }

    #[test]
    fn events_and_failures() {
        let events = |oom: u64| format!("low 0\nhigh 0\nmax 12\noom {oom}\noom_kill 1\noom_group_kill 0\n");
        assert_eq!(hit_v2(Some(&events(0))), Some(false));
        assert_eq!(hit_v2(Some(&events(2))), Some(true));
        assert_eq!((hit_v2(Some("low 0\n")), hit_v2(None)), (None, None));
        assert_eq!(
            (hit_v1(Some("0\n")), hit_v1(Some("7\n")), hit_v1(Some("x"))),
            (Some(false), Some(true), None)
        );
    }

    #[test]
    fn the_one_that_has_counted_where_the_other_has_not() {
        assert_eq!(limit(Some(true), Some(false)), Some(OomLimit::Container));
        assert_eq!(limit(Some(false), Some(true)), Some(OomLimit::Pod));
        assert_eq!(limit(Some(false), Some(false)), Some(OomLimit::Node));
        for (container, pod) in
            [(Some(true), Some(true)), (None, Some(true)), (Some(false), None), (None, None)]
        {
            assert_eq!(limit(container, pod), None);
        }
    }
}
