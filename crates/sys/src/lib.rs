//! The only unsafe code: mapped files and the sandboxed worker.
