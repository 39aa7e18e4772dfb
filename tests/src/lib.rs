//! What the live tests share: network namespaces of their own, the program under test, sockets
//! in every situation, and a compact way to say what must be told of them.
//!
//! A live test makes real connections on this kernel. It needs root and fails, saying why, where
//! it cannot run: a test that is skipped tests nothing. All traffic stays in namespaces that the
//! tests make for themselves; what other programs do meanwhile does not disturb them.
//!
//! The program under test is `target/release/tracer`, or what the environment variable
//! `TRACER_BIN` names.
//!
//! ```no_run
//! use tracer_tests::netns::isolated;
//! use tracer_tests::sockets::{Pair, Path, close_client_first};
//! use tracer_tests::tracer::Tracer;
//!
//! isolated(|namespace| {
//!     let tracer = Tracer::start(namespace, &[]);
//!     let pair = Pair::over(Path::V4);
//!     let (client, _) = pair.ends();
//!     close_client_first(&tracer, pair);
//!     tracer.wait_for_step(&client, "FIN_WAIT2", "TIME_WAIT");
//!     assert!(tracer.finish().transitions().count() > 0);
//! });
//! ```

pub mod background;
pub mod capture;
pub mod case;
pub mod cgroup;
pub mod clock;
pub mod crowd;
pub mod database;
pub mod deployed;
pub mod diagnosis;
pub mod drawn;
pub mod end;
pub mod exec;
pub mod expect;
pub mod fanotify;
pub mod far;
pub mod fault;
pub mod files;
pub mod ftrace;
pub mod held;
pub mod kernel;
pub mod kernel_objects;
pub mod leashed;
pub mod link;
pub mod load;
pub mod loaded;
pub mod netns;
pub mod nginx;
pub mod options;
pub mod output;
pub mod owners;
pub mod page;
pub mod peer;
pub mod postgres;
pub mod receiver;
pub mod record;
pub mod recording;
pub mod remedy;
pub mod shipper;
pub mod shown;
pub mod slowness;
pub mod sockets;
pub mod stranger;
pub mod syslog;
pub mod tap;
pub mod terminal;
pub mod tracer;
pub mod wire;

pub use tracer_lab::segment;
