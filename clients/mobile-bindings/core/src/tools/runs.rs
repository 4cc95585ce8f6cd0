//! The executing side, which runs each call at most once.

use std::collections::{BTreeSet, HashMap, VecDeque};

use super::call::{CallResult, size_bytes};

/// Finished or withdrawn calls that are remembered, so that a repeated request runs nothing.
pub const KEPT_RUNS: usize = 256;

/// Most bytes of results that are kept to be sent again.
pub const KEPT_RESULT_BYTES: usize = 512 * 1024;

/// What to do with a request or a withdrawal.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Run {
    /// Run the tool; say `ToolAccepted` first.
    Start,
    /// It runs already: say `ToolAccepted` again.
    Running,
    /// It ran: send [`ToolRuns::result_of`] again, if it is still kept.
    Finished,
    /// Stop the tool.
    Stop,
    /// Nothing.
    Ignore,
}

#[derive(Debug)]
struct Over {
    result: Option<CallResult>,
    withdrawn: bool,
}

/// The calls that this side executes; owned by the session.
///
/// A request may come twice (a carrier repeats it, a resume delivers it again) and behind its own
/// withdrawal; the tool runs at most once all the same.
#[derive(Debug, Default)]
pub struct ToolRuns {
    running: BTreeSet<String>,
    over: HashMap<String, Over>,
    /// What is over, oldest first.
    order: VecDeque<String>,
    kept_bytes: usize,
}

impl ToolRuns {
    /// A machine that has run nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Calls whose tool runs now, by their ids.
    pub fn running(&self) -> impl Iterator<Item = &str> {
        self.running.iter().map(String::as_str)
    }

    /// Takes a request: `Start` the first time, `Running`, `Finished` or `Ignore` after that.
    pub fn request(&mut self, call_id: &str) -> Run {
        if self.running.contains(call_id) {
            return Run::Running;
        }
        match self.over.get(call_id) {
            None => {
                self.running.insert(call_id.to_owned());
                Run::Start
            }
            Some(over) if over.withdrawn => Run::Ignore,
            Some(_) => Run::Finished,
        }
    }

    /// Notes what a tool gave; true = send it as the `ToolResult`.
    ///
    /// False for a call that was withdrawn in the meantime, or has finished.
    pub fn finish(&mut self, call_id: &str, result: CallResult) -> bool {
        if !self.running.remove(call_id) {
            return false;
        }
        self.remember(call_id, Over { result: Some(result), withdrawn: false });
        true
    }

    /// Takes a `ToolCancel`: `Stop` a running tool, `Ignore` anything else.
    ///
    /// A request that comes after its withdrawal is ignored.
    pub fn withdraw(&mut self, call_id: &str) -> Run {
        if self.over.contains_key(call_id) {
            return Run::Ignore;
        }
        let running = self.running.remove(call_id);
        self.remember(call_id, Over { result: None, withdrawn: true });
        if running { Run::Stop } else { Run::Ignore }
    }

    /// Returns what a finished call gave; `None` when it is not kept any more.
    #[must_use]
    pub fn result_of(&self, call_id: &str) -> Option<&CallResult> {
        self.over.get(call_id)?.result.as_ref()
    }

    fn remember(&mut self, call_id: &str, over: Over) {
        self.kept_bytes += over.result.as_ref().map_or(0, size_bytes);
        self.over.insert(call_id.to_owned(), over);
        self.order.push_back(call_id.to_owned());
        if self.order.len() > KEPT_RUNS
            && let Some(forgotten) = self.order.pop_front().and_then(|id| self.over.remove(&id))
        {
            self.kept_bytes -= forgotten.result.as_ref().map_or(0, size_bytes);
        }
        for oldest in &self.order {
            if self.kept_bytes <= KEPT_RESULT_BYTES {
                break;
            }
            let result = self.over.get_mut(oldest).and_then(|over| over.result.take());
            self.kept_bytes -= result.as_ref().map_or(0, size_bytes);
        }
    }
}
