//! A real nginx as an application.
