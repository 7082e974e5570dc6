//! Where files come from: archives, image layouts, directories, registries.
