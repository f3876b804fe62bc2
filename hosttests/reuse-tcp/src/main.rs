//! Prints how two boards talk over a cable that loses every third packet.

fn main() {
    let story = swos_reuse_tcp::cable::conversation(|number| number % 3 == 0);
    print!("{}", story.text);
    println!("the client read {:?}", String::from_utf8_lossy(&story.answer));
}
