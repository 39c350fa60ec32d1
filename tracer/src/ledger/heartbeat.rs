//! When an agent was last alive, on disk: the downtime is a gap with an interval.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::files;
use crate::clock::{OffsetSample, WallTime};
use crate::ids::{BootId, BootNanos};

/// Bytes of the file.
const LENGTH: usize = 256;

/// One sign of life.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heartbeat {
    /// The boot.
    pub boot_id: BootId,
    /// When, by the boot clock.
    pub boot_ns: BootNanos,
    /// When, by the wall clock.
    pub at: WallTime,
}

impl Heartbeat {
    /// The last sign of life kept at `path`; `None` where there is none, or a power loss left none that can be read.
    #[must_use]
    pub fn read(path: &Path) -> Option<Self> {
        serde_json::from_slice(files::read(path, 2 * LENGTH as u64).ok()?.trim_ascii()).ok()
    }

    /// The offset between the clocks then.
    #[must_use]
    pub fn offset(&self) -> OffsetSample {
        let offset = self.at.0.as_nanosecond() - i128::from(self.boot_ns.0);
        OffsetSample { boot: self.boot_ns, offset_ns: i64::try_from(offset).unwrap_or(0) }
    }

    /// Keeps it in a file that is open for writing. One write in place each second, which a full disk does not fail.
    pub(super) fn write(&self, file: &File) -> io::Result<()> {
        let mut text = serde_json::to_string(self)?;
        text.push_str(&" ".repeat(LENGTH.saturating_sub(text.len() + 1)));
        text.push('\n');
        file.write_all_at(text.as_bytes(), 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_heartbeat_is_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("heartbeat.json");
        assert_eq!(Heartbeat::read(&path), None);
        let file = File::create(&path).unwrap();
        let beat = |second: u64| Heartbeat {
            boot_id: BootId::new("b0"),
            boot_ns: BootNanos(second * 1_000_000_000),
            at: WallTime::from_unix_nanos(1_795_447_614_000_000_000),
        };
        assert_eq!(beat(614).offset().wall_at(BootNanos(614_000_000_000)), beat(614).at);
        for second in [1, 10, 9] {
            beat(second).write(&file).unwrap();
        }
        assert_eq!(Heartbeat::read(&path), Some(beat(9)));
        std::fs::write(&path, "{\"boot_id\":").unwrap();
        assert_eq!(Heartbeat::read(&path), None);
    }
}
