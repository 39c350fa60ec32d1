//! Standard output that another program made non-blocking: a pipe shared with node or an IDE. The flag is of
//! the open file, so taking it away would disturb them; so a full pipe is waited for.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;

/// Writes that wait for room instead of failing.
#[derive(Debug)]
pub struct Waiting<W>(W);

impl<W: Write + AsFd> Waiting<W> {
    /// Over `out`, which may be non-blocking.
    pub fn new(out: W) -> Self {
        Self(out)
    }
}

/// This process's standard output, unbuffered.
///
/// # Errors
///
/// Where its descriptor can't be duplicated.
pub fn standard_output() -> io::Result<Waiting<File>> {
    let descriptor = io::stdout().as_fd().try_clone_to_owned()?;
    Ok(Waiting::new(File::from(descriptor)))
}

impl<W: Write + AsFd> Write for Waiting<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            match self.0.write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => wait_for_room(&self.0)?,
                written => return written,
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Until there is room, or the reader is gone, which the next write finds.
fn wait_for_room(out: &impl AsFd) -> io::Result<()> {
    loop {
        match poll(&mut [PollFd::new(out, PollFlags::OUT)], None) {
            Err(Errno::INTR) => {}
            result => return result.map(drop).map_err(io::Error::from),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use rustix::pipe::{PipeFlags, fcntl_setpipe_size, pipe_with};

    use super::*;

    /// A pipe of one page whose writer is non-blocking.
    fn pipe() -> (File, File) {
        let (reader, writer) = pipe_with(PipeFlags::CLOEXEC).unwrap();
        fcntl_setpipe_size(&writer, 4096).unwrap();
        rustix::io::ioctl_fionbio(&writer, true).unwrap();
        (reader.into(), writer.into())
    }

    #[test]
    fn a_full_pipe_is_waited_for_and_every_line_is_whole() {
        let (mut reader, writer) = pipe();
        rustix::io::ioctl_fionbio(&reader, false).unwrap();
        let lines: Vec<String> = (0..300).map(|n| format!("{n}:{}\n", "x".repeat(997))).collect();
        let all = lines.concat();
        let writing = std::thread::spawn(move || {
            let mut out = Waiting::new(writer);
            lines.iter().try_for_each(|line| out.write_all(line.as_bytes()))
        });
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        writing.join().unwrap().unwrap();
        assert!(text == all);
    }

    #[test]
    fn a_reader_that_goes_away_ends_the_waiting() {
        let (reader, writer) = pipe();
        let mut out = Waiting::new(writer);
        let writing = std::thread::spawn(move || out.write_all(&[b'x'; 100_000]));
        drop(reader);
        assert_eq!(writing.join().unwrap().unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }
}
