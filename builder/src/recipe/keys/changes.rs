//! The operations by which a file changes a list of the file that it extends.

use crate::yaml::keys::Word;

/// The operations, in the order in which they are applied.
pub static LIST_CHANGES: [Word; 6] = [
    Word::new("remove", "Removes the elements with these names."),
    Word::new("change", "Merges each over the element of its name."),
    Word::new("add", "Adds these elements at the end."),
    Word::new("before", "Adds elements before the element of that name: a mapping of names to elements."),
    Word::new("after", "Adds elements after the element of that name: a mapping of names to elements."),
    Word::new("order", "Moves the elements with these names to the start, in this order."),
];
