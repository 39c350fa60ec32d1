//! debugtrail
