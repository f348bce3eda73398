using Dnn.Graph;

namespace Dnn.Dsl;

/// <summary>Where data come from.</summary>
public static partial class Catalog
{
    private static CatalogEntry Source(string name, string signature, string equation, string shapes, string use, Func<Args, DataSource> make) =>
        Row(CatalogKind.Source, name, signature, equation, shapes, use, make);

    private static IEnumerable<CatalogEntry> Sources() =>
    [
        Source("csv", "path: string, features: strings = none, label: string = none, categorical: strings = none", "a table of comma-separated values with a header line",
            "features: [F]; label: int, or [1] for measurements", "Text in the label becomes a class, classes in ordinal order. `features`: all columns of numbers but the label, unless given.",
            a => new CsvSource(a.Text("path")) { Features = a.Strings("features"), Label = a.OptionalText("label"), Categorical = a.Strings("categorical") ?? default }),
        Source("two_moons", "samples: int = 1000, noise: float = 0.1, seed: int = 0", "two interleaved half circles", "x: [2], y: [1]", "The smallest task that needs a hidden layer.",
            a => new TwoMoonsSource(a.Int("samples"), a.Float("noise"), a.Int("seed"))),
        Source("circles", "samples: int = 1000, noise: float = 0.05, seed: int = 0, factor: float = 0.5", "two circles about the origin, of radius 1 and factor", "x: [2], y: [1]", "",
            a => new CirclesSource(a.Int("samples"), a.Float("noise"), a.Int("seed"), a.Float("factor"))),
        Source("spirals", "samples: int = 1000, noise: float = 0.02, seed: int = 0, classes: int = 2, turns: float = 1", "arms of a spiral", "x: [2], y: [1] for two classes, else int", "",
            a => new SpiralsSource(a.Int("samples"), a.Float("noise"), a.Int("seed"), a.Int("classes"), a.Float("turns"))),
        Source("blobs", "samples: int = 1000, noise: float = 1, seed: int = 0, classes: int = 3", "normal clouds on a circle of radius 5", "x: [2], y: [1] for two classes, else int", "",
            a => new BlobsSource(a.Int("samples"), a.Float("noise"), a.Int("seed"), a.Int("classes"))),
        Source("xor", "samples: int = 1000, noise: float = 0.1, seed: int = 0", "the corners of the unit square; y is whether the coordinates differ", "x: [2], y: [1]",
            "No linear map solves it.", a => new XorSource(a.Int("samples"), a.Float("noise"), a.Int("seed"))),
        Source("sine_wave", "samples: int = 1000, length: int = 50, noise: float = 0, seed: int = 0, period: pair = (10, 40)",
            "x[t] = sin(2π t / p + φ) + noise, y[t] = sin(2π (t + 1) / p + φ), φ and the period p random for each row", "x: [length, 1], y: [length, 1]",
            "The value one step later is to be predicted. Periods are uniform between the two.",
            a => new SineWaveSource(a.Int("samples"), a.Int("length"), a.Float("noise"), a.Int("seed"), a.Pair("period").First, a.Pair("period").Second)),
        Source("copy_task", "samples: int = 1000, length: int = 10, delay: int = 20, symbols: int = 8, seed: int = 0",
            "x: `length` symbols from 1 … symbols, `delay` blanks (0) of which the last is the marker symbols + 1, blanks; y: blanks, then the symbols again",
            "x, y: int[2 · length + delay]", "What a recurrent network keeps over a delay (Hochreiter and Schmidhuber 1997). x has symbols + 2 different values, y symbols + 1.",
            a => new CopyTaskSource(a.Int("samples"), a.Int("length"), a.Int("delay"), a.Int("symbols"), a.Int("seed"))),
        Source("reverse_task", "samples: int = 1000, length: int = 10, symbols: int = 8, seed: int = 0",
            "x: `length` symbols from 1 … symbols; y: the same from the last to the first; previous: y one step later, after a 0", "x, previous, y: int[length]",
            "For encoder and decoder: `previous` is what the decoder is given. All have symbols + 1 different values.",
            a => new ReverseTaskSource(a.Int("samples"), a.Int("length"), a.Int("symbols"), a.Int("seed"))),
        Source("idx", "images: string, labels: string", "the two files of MNIST and its likes, gzipped or not", "images: [H, W, 1] in 0 … 1, labels: int",
            "idx(\"train-images-idx3-ubyte.gz\", \"train-labels-idx1-ubyte.gz\"); the test part: split test = idx(…).", a => new IdxSource(a.Text("images"), a.Text("labels"))),
        Source("npz", "path: string, columns: columns = none", "arrays of NumPy with the same first size", "each array without its first axis, under its name",
            "npz(\"data.npz\", x = \"images\") names columns; without names, all arrays are columns.", a => new NpzSource(a.Text("path"), a.Columns("columns"))),
        Source("safetensors", "path: string, columns: columns = none", "tensors with the same first size", "each tensor without its first axis, under its name",
            "safetensors(\"data.safetensors\", x = \"images\") names columns; without names, all tensors are columns.", a => new SafetensorsSource(a.Text("path"), a.Columns("columns"))),
        Source("jsonl", "path: string, columns: columns = none", "a JSON object a line", "each field under its name: a number, a text (a class), or an array of them of one shape",
            "jsonl(\"data.jsonl\", x = \"pixels\") names columns; without names, all fields are columns.", a => new JsonlSource(a.Text("path"), a.Columns("columns"))),
        Source("images", "path: string, size: extent = none", "a folder with a folder of images for each class", "images: [H, W, C] in 0 … 1, labels: int",
            "PNG, JPEG, BMP and GIF, all of one size unless `size = (height, width)` brings them to one, by a triangle filter as wide as what becomes one pixel; C is 1 where all are gray, else 3 (transparency does not count). Classes in ordinal order of the folders.", a => new ImagesSource(a.Text("path"), a.OptionalExtent("size"))),
        Source("text", "path: string, context: int = 128, tokens: bytes|chars = bytes", "row i: tokens[i · context …] and the same one token later", "tokens: int[context], next: int[context]",
            "Bytes are 256 tokens; characters as many as the text has. Weights keep the vocabulary. Parts of a split are runs of the text, in order.",
            a => new TextSource(a.Text("path"), a.Int("context"), a.Text("tokens") == "chars" ? TextTokens.Chars : TextTokens.Bytes)),
        Source("graph", "nodes: string, edges: string, features: strings = none, label: string = none, categorical: strings = none, directed: bool = false",
            "two CSV files: a line a node, its name first; a line an edge, the names of source and target", "features: [N, F], label: int[N], edges: int[E, 2], mask: [N]; all fed whole",
            "`mask` is 1 for the nodes of the part of the split: weigh the loss with it. Undirected edges are there both ways. Without features, each node has a unit vector of its own.",
            a => new GraphSource(a.Text("nodes"), a.Text("edges")) { Features = a.Strings("features"), Label = a.OptionalText("label"), Categorical = a.Strings("categorical") ?? default, Directed = a.Bool("directed") }),
    ];
}
