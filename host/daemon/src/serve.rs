<<<<<<< HEAD
//! Everything that the daemon shows.

pub mod health;
=======
//! Show: whatever answers others reads a published snapshot.

pub mod api;
pub mod wire;
>>>>>>> cli
