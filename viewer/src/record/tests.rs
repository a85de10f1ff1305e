use super::*;
use std::fs;

fn stream() -> StreamName {
    "robot/front".parse().unwrap()
}

fn row(sequence: u64) -> String {
    let job = Job {
        ticket: 0,
        bytes: vec![0; 12],
        shape: Some(ImageShape::new(2, 2, PixelFormat::Rgb8).unwrap()),
        sequence,
        capture_ns: 100 * sequence,
        publish_ns: 100 * sequence + 5,
        captured_at: SystemTime::UNIX_EPOCH + Duration::from_millis(1500 * sequence),
    };
    let place = output::Place { file: format!("front-{sequence:010}.png"), offset_bytes: 0 };
    Row { place, job: &job }.text(&stream())
}

#[test]
fn rows_come_in_the_order_of_their_frames_in_whatever_order_the_threads_end() {
    let directory = tempfile::tempdir().unwrap();
    let folder = Folder::open(directory.path(), &stream()).unwrap();
    let (mut index, newest) = Index::open(&folder, &stream()).unwrap();
    assert_eq!(newest, None);
    for (ticket, rows) in [(1, 0), (0, 2), (4, 2), (5, 2)] {
        index.add(ticket, row(ticket + 7)).unwrap();
        assert_eq!(index.rows(), rows);
    }
    // Frame 2 could not be written, and nothing came behind it.
    index.finish().unwrap();
    let text = fs::read_to_string(directory.path().join("front.csv")).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(
        lines[..2],
        [
            "file,stream,sequence,captured_at,capture_ns,publish_ns,width,height,format,offset_bytes,payload_bytes",
            "front-0000000007.png,robot/front,7,1970-01-01T00:00:10.500000000Z,700,705,2,2,rgb8,0,12"
        ]
    );
    let sequences: Vec<&str> = lines[1..].iter().map(|line| line.split(',').nth(2).unwrap()).collect();
    assert_eq!(sequences, ["7", "8", "11", "12"]);
}

#[test]
fn how_to_play_a_recording_says_all_that_its_files_do_not() {
    use framebus::PixelFormat as F;
    let directory = tempfile::tempdir().unwrap();
    let folder = Folder::open(directory.path(), &stream()).unwrap();
    let words = |kind, format, rate| {
        let words = first_words(kind, ImageShape::new(8, 6, format).ok(), rate, 7, &folder);
        words.split_once("framebus producer --source ").map(|(_, words)| words.to_owned())
    };
    let path = directory.path().display();
    let images = format!("'images:{path}/front-??????????");
    let (ntsc, thirty) = (Rate::new(30_000, 1001), Rate::new(30, 1));
    assert_eq!(words(RecordKind::Png, F::Rgb8, None), Some(format!("{images}.png'")));
    assert_eq!(
        words(RecordKind::Png, F::DepthF32, thirty),
        Some(format!("{images}.png' --format depth_f32 --rate 30"))
    );
    assert_eq!(words(RecordKind::Jpg, F::DepthF32, ntsc), Some(format!("{images}.jpg' --rate 30000/1001")));
    let raw = format!("'raw:{path}/front-0000000007.raw' --width 8 --height 6 --format depth_f32 --rate 30");
    assert_eq!(words(RecordKind::Raw, F::DepthF32, thirty), Some(raw));
    assert_eq!(words(RecordKind::Tiff, F::Rgb8, thirty), None);
}

#[test]
fn an_index_goes_on_behind_its_last_whole_row() {
    let directory = tempfile::tempdir().unwrap();
    let folder = Folder::open(directory.path(), &stream()).unwrap();
    let (mut index, _) = Index::open(&folder, &stream()).unwrap();
    let said = Index::open(&folder, &stream()).unwrap_err().to_string();
    assert!(said.contains("another viewer records stream robot/front there"), "{said}");
    index.add(0, row(3)).unwrap();
    drop(index);
    let path = directory.path().join("front.csv");
    let whole = fs::read_to_string(&path).unwrap();
    fs::write(&path, format!("{whole}front-00000")).unwrap();
    let (mut index, newest) = Index::open(&folder, &stream()).unwrap();
    let at = SystemTime::UNIX_EPOCH + Duration::from_millis(4500);
    assert_eq!(newest, Some(Newest { sequence: 3, at }));
    index.add(0, row(4)).unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), whole + &row(4));
}

#[test]
fn a_header_without_an_end_is_written_anew() {
    let directory = tempfile::tempdir().unwrap();
    let folder = Folder::open(directory.path(), &stream()).unwrap();
    let path = directory.path().join("front.csv");
    drop(Index::open(&folder, &stream()).unwrap());
    let header = fs::read_to_string(&path).unwrap();
    for length in [0, 1, header.len() - 1, header.len()] {
        fs::write(&path, &header[..length]).unwrap();
        let (mut index, newest) = Index::open(&folder, &stream()).unwrap();
        assert_eq!(newest, None);
        index.add(0, row(4)).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), format!("{header}{}", row(4)), "{length} bytes");
    }
}

#[test]
fn what_is_no_index_of_the_stream_is_refused_and_stays() {
    let directory = tempfile::tempdir().unwrap();
    let folder = Folder::open(directory.path(), &stream()).unwrap();
    let path = directory.path().join("front.csv");
    drop(Index::open(&folder, &stream()).unwrap());
    let header = fs::read_to_string(&path).unwrap();
    for (text, expected) in [
        ("notes without an end".to_owned(), "it is no index of a recording"),
        ("time,value\n".to_owned(), "it is no index of a recording"),
        (format!("{header}some,thing\n"), "line 2 is no row: \"some,thing\""),
        (header + &row(1).replace("robot/", "lab/"), "stream lab/front was recorded there; choose another folder"),
    ] {
        fs::write(&path, &text).unwrap();
        let said = Index::open(&folder, &stream()).unwrap_err().to_string();
        assert!(said.contains(expected), "{said}");
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
    }
}
