//! A remote service: where it is, and where its schema comes from.

use std::path::PathBuf;

use serde::Deserialize;

/// A remote upstream. Times are in milliseconds.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Upstream {
    /// `http://HOST:PORT` or `https://HOST:PORT`. There is no default.
    pub url: String,
    /// A file with its `FileDescriptorSet`. Default: none, its schema comes from `proto` or from
    /// server reflection.
    pub descriptor_set: Option<PathBuf>,
    /// A directory of `.proto` files. Default: none.
    pub proto: Option<PathBuf>,
    /// A YAML file of the form of `google.api.Service`, whose `http` rules replace the annotations
    /// of the methods they select. Default: none.
    pub service_config: Option<PathBuf>,
    /// The full names of the services to expose. Default: all.
    pub services: Vec<String>,
    /// A PEM file of the authorities that its certificate may come from. Default: those that the
    /// machine trusts.
    pub ca_file: Option<PathBuf>,
    /// How long connecting may take, TLS included. Default: 1 s.
    pub connect_ms: u64,
    /// How often a connection with open calls is pinged. Default: 30 s.
    pub keep_alive_ms: u64,
    /// How long a ping's answer may take. Default: 10 s.
    pub keep_alive_timeout_ms: u64,
    /// Reply bytes taken in for a stream whose caller does not read. Default: 64 KiB.
    pub stream_window_bytes: u32,
}

impl Default for Upstream {
    fn default() -> Self {
        Self {
            url: String::new(),
            descriptor_set: None,
            proto: None,
            service_config: None,
            services: Vec::new(),
            ca_file: None,
            connect_ms: 1_000,
            keep_alive_ms: 30_000,
            keep_alive_timeout_ms: 10_000,
            stream_window_bytes: 64 << 10,
        }
    }
}
