use super::*;
use crate::top::rows::{What, rows};
use crate::top::testing::{key, look, robot, stream};

fn robot_watch() -> Watch {
    let mut watch = Watch::default();
    robot().into_iter().for_each(|look| watch.take(look));
    watch
}

/// A user who has pressed these keys; what is no letter has a name in angle brackets.
fn pressed(watch: &Watch, keys: &str) -> Ui {
    let mut ui = Ui::new(Duration::from_secs(1), Sort::Name);
    ui.settle(watch);
    press(&mut ui, watch, keys);
    ui
}

fn press(ui: &mut Ui, watch: &Watch, keys: &str) {
    for word in keys.split(' ') {
        let code = match word {
            "<down>" => KeyCode::Down,
            "<up>" => KeyCode::Up,
            "<left>" => KeyCode::Left,
            "<right>" => KeyCode::Right,
            "<end>" => KeyCode::End,
            "<pgdn>" => KeyCode::PageDown,
            "<enter>" => KeyCode::Enter,
            "<esc>" => KeyCode::Esc,
            "<space>" => KeyCode::Char(' '),
            "<back>" => KeyCode::Backspace,
            "<f6>" => KeyCode::F(6),
            letter => KeyCode::Char(letter.parse().unwrap()),
        };
        assert_eq!(ui.key(KeyEvent::from(code), watch), Action::Draw, "{word}");
    }
}

/// The names of the rows, subscribers with a dash; the one under the cursor in brackets.
fn names(watch: &Watch, ui: &Ui) -> Vec<String> {
    let name = |(index, row): (usize, &rows::Row)| {
        let name = match &row.what {
            What::Stream { .. } => row.stream.now.key.name.replace("robot/", ""),
            What::Subscriber { subscriber, .. } => format!("-{}", subscriber.now.holder.label),
        };
        if index == ui.index { format!("[{name}]") } else { name }
    };
    rows(watch, ui).iter().enumerate().map(name).collect()
}

#[test]
fn the_cursor_moves_and_stays_within_the_rows() {
    let watch = robot_watch();
    let shown = |keys: &str| names(&watch, &pressed(&watch, keys));
    assert_eq!(shown("<up>"), ["[front]", "-recorder", "-slow", "imu", "rear", "-web"]);
    assert_eq!(shown("<down> j"), ["front", "-recorder", "[-slow]", "imu", "rear", "-web"]);
    assert_eq!(shown("<pgdn> <pgdn>"), ["front", "-recorder", "-slow", "imu", "rear", "[-web]"]);
    assert_eq!(shown("G g <down> k"), ["[front]", "-recorder", "-slow", "imu", "rear", "-web"]);
}

#[test]
fn the_cursor_stays_on_its_row_when_others_come_and_go() {
    let mut watch = robot_watch();
    let mut ui = pressed(&watch, "<down> <down>");
    let [_, mut next] = robot();
    next.at_ns += 1_000_000_000;
    next.streams.insert(0, stream("robot/a"));
    next.streams[1].subscribers.remove(0);
    watch.take(next.clone());
    ui.settle(&watch);
    assert_eq!(names(&watch, &ui), ["a", "front", "[-slow]", "imu", "rear", "-web"]);
    // When its own row goes, it stays where it was.
    next.at_ns += 1_000_000_000;
    next.streams[1].subscribers.clear();
    watch.take(next);
    ui.settle(&watch);
    assert_eq!(names(&watch, &ui), ["a", "front", "[imu]", "rear", "-web"]);
    watch.take(look(1000.0, Vec::new()));
    watch.take(look(2000.0, Vec::new()));
    ui.settle(&watch);
    assert_eq!((names(&watch, &ui).len(), ui.index, ui.selected), (0, 0, None));
}

#[test]
fn streams_fold_and_the_cursor_goes_to_the_stream() {
    let watch = robot_watch();
    let shown = |keys: &str| names(&watch, &pressed(&watch, keys));
    assert_eq!(shown("<down> <space>"), ["[front]", "imu", "rear", "-web"]);
    assert_eq!(shown("<down> <left> <right>"), ["[front]", "-recorder", "-slow", "imu", "rear", "-web"]);
    assert_eq!(shown("f"), ["[front]", "imu", "rear"]);
    assert_eq!(shown("f f"), ["[front]", "-recorder", "-slow", "imu", "rear", "-web"]);
}

#[test]
fn streams_are_sorted_by_what_was_asked_for() {
    let watch = robot_watch();
    let order = |keys: &str| {
        let ui = pressed(&watch, keys);
        let names: Vec<_> =
            rows::streams(&watch, &ui).iter().map(|stream| stream.now.key.name.replace("robot/", "")).collect();
        (ui.sort, names.join(" "))
    };
    assert_eq!(order("r"), (Sort::Name, "rear imu front".to_owned()));
    assert_eq!(order("s"), (Sort::Rate, "rear front imu".to_owned()));
    assert_eq!(order("s s"), (Sort::Age, "imu front rear".to_owned()));
    assert_eq!(order("s s <f6>"), (Sort::Drops, "front imu rear".to_owned()));
    assert_eq!(order("s s s s"), (Sort::Skipped, "rear front imu".to_owned()));
    assert_eq!(order("s s s s s"), (Sort::Memory, "front rear imu".to_owned()));
    assert_eq!(order("s s s s s s"), (Sort::Trouble, "front imu rear".to_owned()));
    assert_eq!(order("s s s s s s s"), (Sort::Name, "front imu rear".to_owned()));
}

#[test]
fn the_filter_takes_parts_of_streams_and_of_labels() {
    let watch = robot_watch();
    let shown = |keys: &str| names(&watch, &pressed(&watch, keys));
    assert_eq!(shown("/ R E A"), ["[rear]", "-web"]);
    // Of a stream that passes by a label, only those subscribers.
    assert_eq!(shown("/ s l o w"), ["[front]", "-slow"]);
    assert_eq!(shown("/ s l o w <back> <back> <back> <back> <enter>").len(), 6);
    assert_eq!(shown("/ q q q"), Vec::<String>::new());
    // While it is typed, no letter is a command; Esc ends it, and shows all again.
    assert_eq!(shown("/ q p <esc>").len(), 6);
    assert_eq!(shown("/ i m u <enter> <esc>").len(), 6);
    assert!(!pressed(&watch, "/ p <esc>").paused);
}

#[test]
fn one_stream_is_shown_and_left_again() {
    let watch = robot_watch();
    let ui = pressed(&watch, "<down> <enter>");
    assert_eq!(ui.screen, Screen::Detail { stream: key("robot/front"), first: 0 });
    let ui = pressed(&watch, "<down> <enter> <down> <down> <down> <up>");
    assert_eq!(ui.screen, Screen::Detail { stream: key("robot/front"), first: 0 });
    let ui = pressed(&watch, "<enter> <right> <right> <right> <left>");
    assert_eq!(ui.screen, Screen::Detail { stream: key("robot/imu"), first: 0 });
    let ui = pressed(&watch, "<enter> <right> <esc>");
    assert_eq!((&ui.screen, names(&watch, &ui)[3].as_str()), (&Screen::Table, "[imu]"));
}

#[test]
fn probes_run_only_where_they_were_asked_for() {
    let watch = robot_watch();
    let wanted = |keys: &str| {
        let names = pressed(&watch, keys).wanted(&watch).into_iter().map(|key| key.name.replace("robot/", ""));
        names.collect::<Vec<_>>().join(" ")
    };
    assert_eq!(wanted("<down>"), "");
    // In the table: all that somebody publishes and the filter lets through.
    assert_eq!(wanted("l"), "front rear");
    assert_eq!(wanted("l / r e a <enter>"), "rear");
    assert_eq!(wanted("l l"), "");
    assert_eq!(wanted("l <enter> <right> <esc>"), "front rear");
    assert_eq!(wanted("l <enter> l"), "");
    // In the view of one stream: of this one, as long as it is shown.
    assert_eq!(wanted("<enter> l"), "front");
    for gone in ["<enter> l l", "<enter> l <esc>", "<enter> l <right>"] {
        assert_eq!(wanted(gone), "", "{gone}");
    }
}

#[test]
fn intervals_have_steps_and_ends() {
    let watch = robot_watch();
    let interval = |keys: &str| pressed(&watch, keys).interval;
    assert_eq!((interval("+"), interval("-")), (Duration::from_secs(2), Duration::from_millis(500)));
    assert_eq!(interval("- - - - - - - -"), Duration::from_millis(100));
    assert_eq!(interval("+ + + + + + + + + +"), Duration::from_secs(60));
}

#[test]
fn q_and_ctrl_c_quit_and_any_key_closes_the_help() {
    let watch = robot_watch();
    let mut ui = pressed(&watch, "? <space>");
    assert!(!ui.help, "a space closes it");
    press(&mut ui, &watch, "?");
    let q = KeyEvent::from(KeyCode::Char('q'));
    assert_eq!((ui.key(q, &watch), ui.help), (Action::Draw, false));
    assert_eq!(ui.key(q, &watch), Action::Quit);
    press(&mut ui, &watch, "/");
    assert_eq!(ui.key(KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL), &watch), Action::Quit);
}
