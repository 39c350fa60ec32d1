//! What a start makes of the generations of programs that it finds pinned. Pure.

/// A generation: the programs, links and maps of one load. Its folder's name is its number and the identity of its object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Generation {
    /// Counted up, so that no two have the same name.
    pub number: u64,
    /// Of the object and its wire version: the same ones have the same programs.
    pub object: u64,
}

/// How a generation stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Its pinning or its removal was cut short: it is not used.
    Unfinished,
    /// All is there and attached.
    Attached,
    /// It was detached for another one, which has not reported all of it yet.
    Detached,
}

/// What to do, in this order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// To be removed first.
    pub discard: Vec<Generation>,
    /// To be adopted; else the programs are loaded anew.
    pub adopt: Option<Generation>,
    /// To be detached once this start's own programs are attached, to be reported, and to be removed.
    pub inherit: Vec<Generation>,
}

impl Generation {
    /// The folder's name.
    #[must_use]
    pub fn folder(self) -> String {
        format!("{}-{:016x}", self.number, self.object)
    }

    /// From a folder's name; `None` where it is none of ours.
    #[must_use]
    pub fn of_folder(name: &str) -> Option<Self> {
        let (number, object) = name.split_once('-')?;
        let generation = Self { number: number.parse().ok()?, object: u64::from_str_radix(object, 16).ok()? };
        (generation.folder() == name).then_some(generation)
    }

    /// The next one.
    #[must_use]
    pub fn after(found: &[(Self, Standing)], object: u64) -> Self {
        let newest = found.iter().map(|(generation, _)| generation.number).max();
        Self { number: newest.map_or(1, |number| number.saturating_add(1)), object }
    }
}

/// What a debugtrail with this object does with what it has found.
#[must_use]
pub fn plan(found: &[(Generation, Standing)], object: u64) -> Plan {
    let mut found = found.to_vec();
    found.sort_unstable_by_key(|(generation, _)| *generation);
    let is_ours = |(generation, standing): &&(Generation, Standing)| {
        generation.object == object && *standing == Standing::Attached
    };
    let mut plan = Plan { adopt: found.iter().rev().find(is_ours).map(|(own, _)| *own), ..Plan::default() };
    for (generation, standing) in found {
        match standing {
            Standing::Unfinished => plan.discard.push(generation),
            Standing::Attached | Standing::Detached if plan.adopt == Some(generation) => {}
            Standing::Attached | Standing::Detached => plan.inherit.push(generation),
        }
    }
    plan
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: u64 = 0xa;
    const OTHER: u64 = 0xb;

    fn generation(number: u64, object: u64) -> Generation {
        Generation { number, object }
    }

    #[test]
    fn nothing_there_is_a_first_load() {
        assert_eq!(plan(&[], OWN), Plan::default());
        assert_eq!(Generation::after(&[], OWN), generation(1, OWN));
    }

    #[test]
    fn the_same_object_is_adopted_so_that_nothing_is_attached_twice() {
        let found = [(generation(3, OWN), Standing::Attached)];
        assert_eq!(plan(&found, OWN), Plan { adopt: Some(generation(3, OWN)), ..Plan::default() });
    }

    #[test]
    fn another_object_is_inherited() {
        let found = [(generation(3, OTHER), Standing::Attached)];
        assert_eq!(plan(&found, OWN), Plan { inherit: vec![generation(3, OTHER)], ..Plan::default() });
        assert_eq!(Generation::after(&found, OWN), generation(4, OWN));
    }

    #[test]
    fn an_upgrade_that_was_cut_short_goes_on() {
        // Killed between the pinning of the new one and the reporting of the old one.
        let found = [(generation(4, OWN), Standing::Attached), (generation(3, OTHER), Standing::Detached)];
        let expected =
            Plan { adopt: Some(generation(4, OWN)), inherit: vec![generation(3, OTHER)], ..Plan::default() };
        assert_eq!(plan(&found, OWN), expected);
        // Taken back at once: what is detached records nothing and is not adopted.
        let back = Plan { inherit: vec![generation(3, OTHER), generation(4, OWN)], ..Plan::default() };
        assert_eq!(plan(&found, OTHER), back);
    }

    #[test]
    fn a_half_made_generation_is_not_used() {
        let found =
            [(generation(1, OWN), Standing::Unfinished), (generation(2, OTHER), Standing::Unfinished)];
        let expected = Plan { discard: vec![generation(1, OWN), generation(2, OTHER)], ..Plan::default() };
        assert_eq!(plan(&found, OWN), expected);
    }

    #[test]
    fn folders_are_known_by_their_names() {
        let own = generation(12, 0xfeed);
        assert_eq!(own.folder(), "12-000000000000feed");
        assert_eq!(Generation::of_folder(&own.folder()), Some(own));
        for other in ["12", "x-000000000000feed", "12-feed", "012-000000000000feed", "cilium"] {
            assert_eq!(Generation::of_folder(other), None, "{other}");
        }
    }
}
