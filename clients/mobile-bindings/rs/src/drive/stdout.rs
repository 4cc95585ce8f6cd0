//! Stdout, written by a thread of its own: whoever reads it late does not hold the session up.

use std::io::{self, Write};
use std::sync::mpsc::{Sender, channel};
use std::thread::{JoinHandle, spawn};

/// Takes lines at once.
pub(super) struct Lines(Sender<Vec<u8>>);

impl Write for Lines {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.0.send(data.to_vec()).map_err(|_| io::ErrorKind::BrokenPipe)?;
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Ends the thread.
pub(super) struct Stdout {
    end: Sender<Vec<u8>>,
    thread: JoinHandle<()>,
}

impl Stdout {
    /// Waits until everything is written that was taken.
    pub(super) fn finish(self) {
        let _ = self.end.send(Vec::new()); // nobody reads any more
        let _ = self.thread.join();
    }
}

/// Starts the thread.
pub(super) fn open() -> (Lines, Stdout) {
    let (sender, lines) = channel::<Vec<u8>>();
    let thread = spawn(move || {
        let mut stdout = io::stdout().lock();
        for line in lines {
            if line.is_empty() || stdout.write_all(&line).and_then(|()| stdout.flush()).is_err() {
                return;
            }
        }
    });
    (Lines(sender.clone()), Stdout { end: sender, thread })
}
