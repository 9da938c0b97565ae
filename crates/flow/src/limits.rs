//! Every limit of this room in one place, with a name.

/// Upper bounds on what a run takes in. What is over one of them is never looked at in part and then allowed: the call
/// that it matters to is denied.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FlowLimits {
    /// Bytes of the user's request.
    pub request_bytes: usize,
    /// Tools in one run.
    pub tools: usize,
    /// Bytes of one tool's definition.
    pub tool_bytes: usize,
    /// Bytes of one result that are looked at. A longer result counts as unread beyond, and taints every later call.
    pub result_bytes: usize,
    /// Results that are kept in one run; after that calls with an effect are denied.
    pub results: usize,
    /// Bytes of all results that are kept.
    pub kept_bytes: usize,
    /// Values among the arguments of one call.
    pub arguments: usize,
    /// Bytes of all arguments of one call.
    pub argument_bytes: usize,
    /// Levels of nesting in arguments and results.
    pub depth: usize,
    /// Places of one value that are looked at in one result.
    pub places: usize,
    /// Bytes of one line of the protocol.
    pub line_bytes: usize,
    /// Calls of one tool with an effect, where the request says "all" or the like.
    pub calls: usize,
}

impl Default for FlowLimits {
    fn default() -> Self {
        FlowLimits {
            request_bytes: 64 << 10,
            tools: 1024,
            tool_bytes: 64 << 10,
            result_bytes: 4 << 20,
            results: 1024,
            kept_bytes: 64 << 20,
            arguments: 1024,
            argument_bytes: 4 << 20,
            depth: 32,
            places: 64,
            line_bytes: 16 << 20,
            calls: 100,
        }
    }
}
