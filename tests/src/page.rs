//! The page of `tracer report` in a real browser.

use std::{
    fs::{self, File},
    io::BufReader,
    path::{Path, PathBuf},
    process::Command,
};

/// A page as a browser understands it.
#[derive(Debug)]
pub struct Page {
    file: PathBuf,
    profile: PathBuf,
    /// The document after the browser has parsed it.
    pub document: String,
}

/// A picture of a page.
#[derive(Debug)]
pub struct Picture {
    /// Width and height, pixels.
    pub size: (u32, u32),
    /// Different colours.
    pub colours: usize,
}

impl Page {
    /// Loads a file; the browser keeps what it needs in `directory`.
    pub fn load(file: &Path, directory: &Path) -> Self {
        let (file, profile) = (file.to_owned(), directory.join("browser"));
        let mut page = Self { file, profile, document: String::new() };
        page.document = page.browse(&["--dump-dom"]);
        page
    }

    /// What it looks like in a window of that size.
    pub fn picture(&self, width: u32, height: u32) -> Picture {
        let path = self.profile.with_extension("png");
        self.draw(&path, (width, height), 1.0);
        let file = BufReader::new(File::open(&path).expect("a picture"));
        let mut reader = png::Decoder::new(file).read_info().expect("a PNG file");
        let mut pixels = vec![0; reader.output_buffer_size().expect("a size")];
        let info = reader.next_frame(&mut pixels).expect("pixels");
        let bytes = info.color_type.samples();
        let mut colours: Vec<&[u8]> = pixels.chunks(bytes).collect();
        colours.sort_unstable();
        colours.dedup();
        Picture { size: (info.width, info.height), colours: colours.len() }
    }

    /// Writes a picture of a window of that size, `scale` pixels for each of the page's.
    pub fn draw(&self, path: &Path, (width, height): (u32, u32), scale: f32) {
        let options = [
            format!("--window-size={width},{height}"),
            format!("--force-device-scale-factor={scale}"),
            format!("--screenshot={}", path.display()),
        ];
        self.browse(&options.each_ref().map(String::as_str));
    }

    /// The parts that a window of that width cuts off at its side, all that can be unfolded
    /// unfolded. A window of a browser has some least width, a frame in it has not.
    pub fn cut_at(&self, width: u32) -> String {
        let frame = format!(
            "<iframe id=page style='width:{width}px;height:2000px;border:0' src='file://{}'></iframe>
            <script>page.onload = () => {{
                const all = page.contentDocument;
                all.querySelectorAll('details').forEach(one => one.open = true);
                const cut = [...all.querySelectorAll('body, .wide, pre, figure, article')]
                    .filter(one => one.scrollWidth > one.clientWidth + 1);
                document.body.textContent =
                    'cut: ' + cut.map(one => one.textContent.slice(0, 80)).join('; ');
            }}</script>",
            self.file.display()
        );
        let file = self.profile.with_extension("html");
        fs::write(&file, frame).expect("a file in a directory of the test's own");
        let framed = Self { file, profile: self.profile.clone(), document: String::new() };
        let document = framed.browse(&["--allow-file-access-from-files", "--dump-dom"]);
        let cut = document.split_once("cut: ").expect("the page has been loaded").1;
        cut.split_once("</body>").map_or(cut, |(cut, _)| cut).trim().to_owned()
    }

    fn browse(&self, options: &[&str]) -> String {
        let output = Command::new("timeout")
            .args(["100", "chromium", "--headless", "--no-sandbox", "--disable-gpu"])
            .args(["--disable-dev-shm-usage", "--hide-scrollbars"])
            .arg(format!("--user-data-dir={}", self.profile.display()))
            .args(options)
            .arg(format!("file://{}", self.file.display()))
            .output()
            .expect("live tests need the command timeout");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success(),
            "live tests need the command chromium (Debian: chromium): {errors}"
        );
        String::from_utf8(output.stdout).expect("text")
    }

    /// The cells of the first row of that name in a section.
    pub fn row(&self, section: &str, name: &str) -> Option<Vec<&str>> {
        let (_, section) = self.document.split_once(&format!("<section id=\"{section}\">"))?;
        let (section, _) = section.split_once("</section>")?;
        let (_, row) = section.split_once(&format!("<th scope=\"row\">{name}</th>"))?;
        let (row, _) = row.split_once("</tr>")?;
        let cells = row.split("<td").skip(1);
        Some(cells.filter_map(|cell| Some(cell.split_once('>')?.1.split_once('<')?.0)).collect())
    }
}
