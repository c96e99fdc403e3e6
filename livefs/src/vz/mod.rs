//! OpenVZ's classic tools: their configuration, commands, messages and exit codes.
