//! Ends in the way its first argument names. What a shell can't do: threads, and system calls of their own.

mod children;
mod memory;
mod signals;
mod system;
mod threads;

/// A way to end; it is given the second argument, or nothing.
type Way = fn(&str) -> !;

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let argument = |n: usize| args.get(n).map_or("", String::as_str);
    let name = argument(1);
    let way = threads::way(name)
        .or_else(|| children::way(name))
        .or_else(|| signals::way(name))
        .or_else(|| memory::way(name));
    match way {
        Some(way) => way(argument(2)),
        None => panic!("no such way to end: {name:?}"),
    }
}
