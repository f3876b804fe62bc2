//! The public interface against a machine that checks every write.

mod machine;
mod operations;
mod oracle;
