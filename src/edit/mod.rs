//! Changing the files of the environment repository as a person would: only what is
//! meant, everything else as it was. Pure: text comes in and goes out.

pub mod yaml;
