//! Incidents that nothing here stops yet: the number, what happened, what will stop it, and the room that it comes with.
//! Nothing that is listed here may be claimed anywhere.

/// Number, incident, mechanism, room.
pub(crate) const PENDING: &[(u8, &str, &str, &str)] = &[
    (
        5,
        "EchoLeak CVE-2025-32711: images fetched by themselves",
        "outbound scan of what is shown; nothing is fetched by itself",
        "watch, net",
    ),
    (18, "Claude Code CVE-2025-55284: secrets in host names", "names resolved by the broker alone, and limited", "net"),
    (
        19,
        "Nx s1ngularity: an install script drives agents to find keys",
        "a key broker; pinned packages; volume breaker",
        "vault, watch",
    ),
    (23, "Shai-Hulud: an install script harvests tokens", "a key broker; hosts by account and method", "vault, net"),
    (24, "ForcedLeak: an allowed host's expired name is bought", "hosts pinned to their owner", "net"),
    (
        26,
        "CamoLeak CVE-2025-59145: a secret spelt by image requests",
        "order and number of requests; outbound scan across calls",
        "net, watch",
    ),
    (
        29,
        "Antigravity reads .env and posts it",
        "secrets below the top of a folder hidden from programs; a key broker",
        "sandbox, vault",
    ),
    (
        33,
        "Cowork: files leave by an allowed host with another's key",
        "the broker adds the key; hosts by account",
        "net, vault",
    ),
    (34, "mcp-server-git CVE-2025-68143: arguments injected", "tools of MCP servers as typed proposals", "server"),
    (
        35,
        "Cursor CVE-2026-22708: built-ins poison the environment",
        "a clean environment for each command of an agent's shell tool",
        "runtime",
    ),
    (
        37,
        "Claude Code CVE-2026-21852: a repository redirects the key",
        "a key broker that knows the host; nothing before trust",
        "vault",
    ),
    (39, "OpenClaw CVE-2026-25253: any origin on a local socket", "origin and token on our own API", "server"),
    (46, "LiteLLM: a stolen release runs at every start", "a key broker; pinned packages", "vault, policy"),
    (
        47,
        "PocketOS: a stray token deletes database and backups",
        "a key broker; outbound scan of tools' arguments; backups elsewhere",
        "vault, watch, backup",
    ),
    (
        50,
        "a SOCKS5 name with NUL passes the filter",
        "the egress broker with a case of its own for each of its protocols",
        "net",
    ),
    (51, "Nx Console: an extension's update steals a token", "a key broker; pinned packages", "vault, policy"),
];
