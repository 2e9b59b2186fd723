//! host/guest-builder
