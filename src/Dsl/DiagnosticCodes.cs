using System.Collections.Immutable;

namespace Dnn.Dsl;

/// <summary>
/// Every diagnostic there is. 0001–0099 letters and syntax, 0100–0299 names and kinds, 0300–0499 types and shapes, 0500–0599 data and
/// training, 1001–1015 lint. A row registers itself; codes are never reused.
/// </summary>
public static class DiagnosticCodes
{
    private static readonly List<DiagnosticDescriptor> _rows = [];

    // ---- 0001–0019: letters ------------------------------------------------------------------------------------------

    public static readonly DiagnosticDescriptor UnknownCharacter = Error("DNN0001", "character that means nothing here",
        "The language uses letters, digits, `_` and its operators. Anything else may stand in strings and comments only.",
        "let a = $rate", "let rate = 0.1");

    public static readonly DiagnosticDescriptor LookAlike = Error("DNN0002", "character that looks like another",
        "A character was pasted that looks like one of the language but is another, such as a typographic quote, a long dash, a "
        + "no-break space or a Cyrillic letter. Two names that look the same would be different.",
        "let a = 2 × 3", "let a = 2 * 3");

    public static readonly DiagnosticDescriptor UnterminatedString = Error("DNN0003", "string without an end",
        "A string starts and ends with a double quote on one line. A line break inside is written `\\n`, a quote `\\\"`.",
        "let a = \"digits", "let a = \"digits\"");

    public static readonly DiagnosticDescriptor BadEscape = Error("DNN0004", "unknown escape in a string",
        "After a backslash, a string knows `\\n \\r \\t \\0 \\\\ \\\"` and `\\u{…}` with one to six hexadecimal digits of a Unicode scalar value.",
        "let a = \"C:\\data\"", "let a = \"C:\\\\data\"");

    public static readonly DiagnosticDescriptor MalformedNumber = Error("DNN0005", "number that runs into letters",
        "A number is digits, perhaps a point with digits, perhaps an exponent such as `e-3`. There are no separators, prefixes or "
        + "suffixes; a product is written with `*`, and a unit stands apart: `50 steps`.",
        "let a = 1_000", "let a = 1000");

    public static readonly DiagnosticDescriptor BarePoint = Error("DNN0006", "decimal point without digits on both sides",
        "Write `1.0` and `0.5`: a bare point is easily overlooked, and `0..n` is a range.",
        "let a = 1.", "let a = 1.0");

    public static readonly DiagnosticDescriptor NumberOutOfRange = Error("DNN0007", "number that is too large",
        "Whole numbers reach to 2⁶³ − 1, floats to about 1.8e308 in magnitude. Infinity is written `inf`.",
        "let a = 1e999", "let a = inf");

    public static readonly DiagnosticDescriptor ForeignOperator = Error("DNN0008", "operator of another language",
        "Powers are written `**`, logic with the words `and`, `or` and `not`.",
        "let a = 2 ^ 10", "let a = 2 ** 10");

    public static readonly DiagnosticDescriptor Semicolon = Error("DNN0009", "semicolon",
        "A statement ends where its line ends, and arguments are told apart by commas.",
        "let a = 1;", "let a = 1");

    public static readonly DiagnosticDescriptor ForeignComment = Error("DNN0010", "comment of another language",
        "A comment starts with `//` and goes to the end of the line; `///` documents the declaration below.",
        "# the rate\nlet rate = 0.1", "// the rate\nlet rate = 0.1");

    public static readonly DiagnosticDescriptor SingleQuotes = Error("DNN0011", "string in single quotes",
        "Strings stand in double quotes.",
        "let a = 'same'", "let a = \"same\"");

    public static readonly DiagnosticDescriptor Tab = Warning("DNN0012", "tab character",
        "A tab is as wide as each editor pleases, so what is aligned on one screen is not on another. It is read as a blank; "
        + "`dnn fmt` writes spaces. Only the first of a file is reported.",
        "model M {\n\tinput x: [B, 2]\n}", "model M {\n  input x: [B, 2]\n}");

    // ---- 0020–0099: syntax -------------------------------------------------------------------------------------------

    public static readonly DiagnosticDescriptor UnexpectedToken = Error("DNN0020", "something else was expected here",
        "The text up to this place is the beginning of something that cannot go on like this. The message names what could follow.",
        "let a = 1 +", "let a = 1 + 2");

    public static readonly DiagnosticDescriptor Unclosed = Error("DNN0021", "bracket that is not closed",
        "Each `(`, `[` and `{` needs its partner. The second place shown is the bracket that is still open.",
        "let a = (1 + 2", "let a = (1 + 2)");

    public static readonly DiagnosticDescriptor Unopened = Error("DNN0022", "closing bracket without an opening one",
        "A `)`, `]` or `}` closes the latest bracket that is open, and here none of its kind is.",
        "let a = 1 + 2)", "let a = (1 + 2)");

    public static readonly DiagnosticDescriptor ComparisonChain = Error("DNN0023", "comparisons in a row",
        "`a < b < c` would compare a truth value with c. Write both comparisons and join them with `and`.",
        "let a = 0 < 1 < 2", "let a = 0 < 1 and 1 < 2");

    public static readonly DiagnosticDescriptor NeedsParentheses = Error("DNN0024", "expression that needs parentheses here",
        "The last part of an `if` or a lambda extends as far right as it can. As an operand, or right after `|>`, it needs parentheses to "
        + "say where it ends.",
        "let a = 1 |> if true then relu else tanh", "let a = 1 |> (if true then relu else tanh)");

    public static readonly DiagnosticDescriptor StatementIfFor = Error("DNN0025", "if or for as a statement",
        "A file describes an expression graph, so there is nothing that is done conditionally or repeatedly: `if c then a else b` and "
        + "`for i in 0..n { layer }` are values. Bind or apply them: `let h = if deep then … else …`, `x |> for i in 0..n { … }`.",
        "layer f(x: [B]) {\n  for i in 0..3 { relu }\n  return x\n}", "layer f(x: [B]) {\n  return x |> for i in 0..3 { relu }\n}");

    public static readonly DiagnosticDescriptor AssignInExpression = Error("DNN0026", "= where == is meant",
        "`=` gives a name its value, at the start of a statement or in an argument list. `==` compares.",
        "let a = (1 = 2)", "let a = (1 == 2)");

    public static readonly DiagnosticDescriptor ReservedWord = Error("DNN0027", "reserved word as a name",
        "The words `if then else for in let return or and not true false` have one meaning everywhere and name nothing else.",
        "let in = 1", "let input = 1");

    public static readonly DiagnosticDescriptor UnknownStatement = Error("DNN0028", "line that starts with no keyword",
        "Every line of a file or block starts with a word that says what it is: `let`, `layer`, `param`, `return` and so on.",
        "modle M {\n}", "model M {\n}");

    public static readonly DiagnosticDescriptor UnusedValue = Error("DNN0029", "value that goes nowhere",
        "An expression on a line of its own would be computed and dropped. Bind it with `let`, or make it the result with `return`.",
        "layer f(x: [B]) {\n  relu(x)\n}", "layer f(x: [B]) {\n  return relu(x)\n}");

    public static readonly DiagnosticDescriptor TooDeep = Error("DNN0030", "nested too deeply",
        "Brackets, lambdas and prefix operators nest to a fixed depth, far beyond what can be read. Name a part with `let`.",
        "let a = " + new string('-', 1000) + "1", "let a = --1");

    public static readonly DiagnosticDescriptor UnknownType = Error("DNN0031", "unknown type",
        "Types are `int float bool string init layer schedule`, lists of them such as `[int]`, tensors such as `[B, T]` or `i64[B]` "
        + "(element types `f32 f64 i64 bool int float`), and tuples of types.",
        "hyper a: integer = 1", "hyper a: int = 1");

    public static readonly DiagnosticDescriptor LanguageVersion = Error("DNN0032", "unknown language version",
        "The first line may name the version of the language that the file is written in. This program knows version 1.",
        "dnn 2", "dnn 1");

    public static readonly DiagnosticDescriptor WrongLevel = Error("DNN0033", "declaration inside a block, or statement outside",
        "`import hyper layer model data train test` stand at the top level of a file; `param buffer update input target output loss metric "
        + "require assert return` stand in the block of a layer, model or test. `let` may stand in both.",
        "param w: [3] = 0", "layer f(x: [3]) {\n  param w: [3] = 0\n  return x * w\n}");

    // ---- 0100–0199: names ------------------------------------------------------------------------------------------------

    public static readonly DiagnosticDescriptor UnknownName = Error("DNN0100", "name that nothing declares",
        "A name is declared by a statement before it, by the layer or model around it, at the top level of the file, or by the language.",
        "layer f(x: [B, D]) {\n  return rleu(x)\n}",
        "layer f(x: [B, D]) {\n  return relu(x)\n}");

    public static readonly DiagnosticDescriptor DuplicateName = Error("DNN0102", "name that is declared twice",
        "At the top level, among the parameters of one list, and for inputs, targets, parameters and buffers a name stands for one thing. A `let` may shadow.",
        "let a = 1\nlet a = 2",
        "let a = 1\nlet b = 2");

    public static readonly DiagnosticDescriptor UnknownArgument = Error("DNN0103", "argument that the callee does not take",
        "The name before `=` must be one of the parameters.",
        "layer f(x: [B, D]) {\n  return softmax(x, axes = 0)\n}",
        "layer f(x: [B, D]) {\n  return softmax(x, axis = 0)\n}");

    public static readonly DiagnosticDescriptor MissingArgument = Error("DNN0104", "argument that is missing",
        "A parameter without a default must be given.",
        "model M {\n  input x: [B, 2]\n  output y = x |> dense()\n}",
        "model M {\n  input x: [B, 2]\n  output y = x |> dense(4)\n}");

    public static readonly DiagnosticDescriptor TooManyArguments = Error("DNN0105", "more arguments than parameters",
        "The callee takes fewer arguments. What a pipe brings counts as the first.",
        "layer f(x: [B, D]) {\n  return x |> relu(x)\n}",
        "layer f(x: [B, D]) {\n  return x |> maximum(0)\n}");

    public static readonly DiagnosticDescriptor DuplicateArgument = Error("DNN0106", "argument that is given twice",
        "A parameter takes one value, by position, by name or through a pipe.",
        "layer f(x: [B, D]) {\n  return softmax(x, 1, axis = 1)\n}",
        "layer f(x: [B, D]) {\n  return softmax(x, axis = 1)\n}");

    public static readonly DiagnosticDescriptor PositionalAfterNamed = Error("DNN0107", "argument without a name after one with a name",
        "Positions count from the first argument; after a name the position says nothing any more.",
        "layer f(x: [B, D]) {\n  return softmax(x = x, 1)\n}",
        "layer f(x: [B, D]) {\n  return softmax(x, 1)\n}");

    public static readonly DiagnosticDescriptor NotCallable = Error("DNN0108", "call of something that is no layer and no function",
        "Layers and functions are called, and stand to the right of `|>`. A number, a tensor or a string is neither.",
        "layer f(x: [B, D]) {\n  return x(2)\n}",
        "layer f(x: [B, D]) {\n  return x * 2\n}");

    public static readonly DiagnosticDescriptor WrongKind = Error("DNN0109", "name of the wrong kind",
        "A model, a data set and a size are different things; each has its place.",
        "layer f(x: [B]) {\n  return M\n}\nmodel M {\n  input x: [B, 2]\n  output y = x\n}",
        "layer f(x: [B]) {\n  return x\n}\nmodel M {\n  input x: [B, 2]\n  output y = x\n}");

    public static readonly DiagnosticDescriptor LayerNeedsParentheses = Error("DNN0110", "layer or function without its arguments",
        "A layer with hyperparameters is made by a call, even if all have defaults: `layer_norm()`. A bare name is a layer only where its first parameter is a tensor and the others have defaults.",
        "layer f(x: [B, D]) {\n  return x |> layer_norm\n}",
        "layer f(x: [B, D]) {\n  return x |> layer_norm()\n}");

    public static readonly DiagnosticDescriptor StatementNotHere = Error("DNN0111", "statement that has no place in this block",
        "`input target output loss metric` stand in models, `return` in layers and lambdas, `assert` in tests, `param buffer update` in layers and models.",
        "layer f(x: [B]) {\n  output y = x\n  return x\n}",
        "layer f(x: [B]) {\n  let y = x\n  return y\n}");

    public static readonly DiagnosticDescriptor MissingReturn = Error("DNN0112", "layer that returns nothing",
        "The last statement of a layer, and of a lambda with braces, is `return expr`.",
        "layer f(x: [B]) {\n  let y = 2 * x\n}",
        "layer f(x: [B]) {\n  return 2 * x\n}");

    public static readonly DiagnosticDescriptor AfterReturn = Error("DNN0113", "statement after `return`",
        "`return` is the last statement.",
        "layer f(x: [B]) {\n  return x\n  let y = x\n}",
        "layer f(x: [B]) {\n  let y = x\n  return y\n}");

    public static readonly DiagnosticDescriptor DuplicateInstance = Error("DNN0114", "two instances under one name",
        "Parameters are saved by path, and the path of an instance is the name that `let` gives it. Two instances of one name in one body would share it.",
        "model M {\n  input x: [B, 2]\n  let fc = dense(4)\n  let h = x |> fc\n  let fc = dense(2)\n  output y = h |> fc\n}",
        "model M {\n  input x: [B, 2]\n  let fc1 = dense(4)\n  let h = x |> fc1\n  let fc2 = dense(2)\n  output y = h |> fc2\n}");

    public static readonly DiagnosticDescriptor UnknownField = Error("DNN0115", "field that is not there",
        "The fields of a layer are its parameters and the layers in it, from its first application on.",
        "model M {\n  input x: [B, 2]\n  let fc = dense(1)\n  let y = fc(x)\n  output g = grad(sum(y), fc.wieght)\n}",
        "model M {\n  input x: [B, 2]\n  let fc = dense(1)\n  let y = fc(x)\n  output g = grad(sum(y), fc.weight)\n}");

    public static readonly DiagnosticDescriptor UnknownOption = Error("DNN0116", "option that is not known",
        "Parameters, data blocks and train blocks have options of their own, and each has its place.",
        "layer f(x: [B, 2]) {\n  param w: [2] = 0, frosen\n  return x * w\n}",
        "layer f(x: [B, 2]) {\n  param w: [2] = 0, frozen\n  return x * w\n}");

    public static readonly DiagnosticDescriptor UnknownWord = Error("DNN0117", "word that the enumeration does not have",
        "An argument of enumerated type takes one of some words.",
        "layer f(x: [B, D]) {\n  return gelu(x, approximate = tan)\n}",
        "layer f(x: [B, D]) {\n  return gelu(x, approximate = tanh)\n}");

    public static readonly DiagnosticDescriptor NotABuffer = Error("DNN0118", "update of what is no buffer",
        "`update` gives the next value of a `buffer`. Parameters are changed by the optimizer.",
        "layer f(x: [B, 2]) {\n  param m: [2] = 0\n  update m = mean(x, axis = 0)\n  return x - m\n}",
        "layer f(x: [B, 2]) {\n  buffer m: [2] = 0\n  update m = mean(x, axis = 0)\n  return x - m\n}");

    public static readonly DiagnosticDescriptor GradientTarget = Error("DNN0119", "derivative with respect to what has no name",
        "A derivative is taken with respect to a name, a field, an index, or a tuple or list of those. The node named is cut: it is treated as a variable.",
        "layer f(x: [2]) {\n  return grad(sum(x * x), 2 * x)\n}",
        "layer f(x: [2]) {\n  return grad(sum(x * x), x)\n}");

    public static readonly DiagnosticDescriptor ConstructedOutside = Error("DNN0120", "layer constructed at the top level",
        "Parameters belong to a model. What is constructed at the top level would belong to none, or to all.",
        "let shared = dense(8)",
        "hyper shared: layer = dense(8)");

    public static readonly DiagnosticDescriptor UnknownOverride = Error("DNN0121", "--set of a name that nothing has",
        "`--set name=value` gives a value to a hyperparameter of the file or model, or to an option of the train block: `--set train.batch=32`.",
        "hyper depth: int = 2\n// dnn check --set dept=3",
        "hyper depth: int = 2\n// dnn check --set depth=3");

    public static readonly DiagnosticDescriptor Circular = Error("DNN0122", "value that is defined by itself",
        "Values of the top level may be used before they are declared, but not in a circle.",
        "let a = b + 1\nlet b = a - 1",
        "let a = 2\nlet b = a - 1");

    public static readonly DiagnosticDescriptor ImportNotFound = Error("DNN0123", "import of what cannot be read",
        "A path in quotes leads to a file, relative to the one that imports; a name such as `std.resnet` to a file of the library.",
        "import std.resnets (basic_block)",
        "import std.resnet (basic_block)");

    public static readonly DiagnosticDescriptor UnknownImport = Error("DNN0124", "import of a name that the file does not declare",
        "What stands at the top level of a file can be imported from it: layers, models, data, hyperparameters and constants. What it imports itself is imported from where it comes from.",
        "import std.resnet (basic_blok)",
        "import std.resnet (basic_block)");

    public static readonly DiagnosticDescriptor ImportCircle = Error("DNN0125", "files that import each other",
        "What a file imports is read before it, so imports cannot go in a circle. Put what several files need in one that imports none of them.",
        "import \"input.dnn\" (block)",
        "import std.resnet (basic_block)");

    public static readonly DiagnosticDescriptor ImportOutside = Error("DNN0126", "import from outside of the folder",
        "Imports stay below the folder of the file that the command was given: what a model is made of lies in one place, and a file from elsewhere reads nothing else.",
        "import \"../blocks.dnn\" (block)",
        "import std.resnet (basic_block)");

    // ---- 0300–0399: types and shapes -------------------------------------------------------------------------------------

    public static readonly DiagnosticDescriptor TypeMismatch = Error("DNN0300", "value of another type",
        "A static value has a type, and what takes it says which.",
        "hyper depth: int = \"two\"",
        "hyper depth: int = 2");

    public static readonly DiagnosticDescriptor ShapeMismatch = Error("DNN0301", "shapes that do not fit",
        "The sizes of two axes that meet must be equal, or one of them 1 where broadcasting applies. The other places shown are where each size came from.",
        "model M {\n  input x: [B, 3]\n  param w: [4, 2] = normal()\n  output y = x @ w\n}",
        "model M {\n  input x: [B, 4]\n  param w: [4, 2] = normal()\n  output y = x @ w\n}");

    public static readonly DiagnosticDescriptor DeclaredShape = Error("DNN0302", "tensor of another shape than declared",
        "A layer's tensors, its result and a `let` with a type say which shapes they have; names bind sizes, and a name that stands twice asks for equal sizes.",
        "layer f(x: [B, 4]) {\n  return x\n}\nmodel M {\n  input x: [B, 3]\n  output y = f(x)\n}",
        "layer f(x: [B, 4]) {\n  return x\n}\nmodel M {\n  input x: [B, 4]\n  output y = f(x)\n}");

    public static readonly DiagnosticDescriptor ElementType = Error("DNN0303", "tensor of another element type",
        "Floats, whole numbers and truth values are different element types. `cast(x, int)` and `cast(x, float)` convert.",
        "model M {\n  input x: [B, 8]\n  output y = take(x, x)\n}",
        "model M {\n  input x: [B, 8]\n  output y = take(x, cast(x, int))\n}");

    public static readonly DiagnosticDescriptor NotStatic = Error("DNN0304", "value that is not known while the model is put together",
        "Conditions of `if`, ends of ranges, hyperparameters and sizes of parameters are known before anything runs. `where(c, a, b)` chooses by element while the model runs.",
        "layer f(x: [B]) {\n  return if sum(x) > 0 then x else -x\n}\nmodel M {\n  input x: [B]\n  output y = f(x)\n}",
        "layer f(x: [B]) {\n  return where(sum(x) > 0, x, -x)\n}\nmodel M {\n  input x: [B]\n  output y = f(x)\n}");

    public static readonly DiagnosticDescriptor NotWhole = Error("DNN0305", "fraction where a whole number is needed",
        "`/` gives a float, which counts as an int only if it is whole. `floor_div`, `ceil_div` and `round` give whole numbers.",
        "hyper width: int = 7 / 2",
        "hyper width: int = floor_div(7, 2)");

    public static readonly DiagnosticDescriptor OutOfRange = Error("DNN0306", "number out of its range",
        "The value must lie in the range that is declared; both ends are included.",
        "hyper drop: float = 1.5 in 0.0..1.0",
        "hyper drop: float = 0.5 in 0.0..1.0");

    public static readonly DiagnosticDescriptor IndexOutOfRange = Error("DNN0307", "index that is out of range",
        "Indices count from 0; negative ones count from the end. Slices clamp, single indices do not.",
        "model M {\n  input x: [B, 3]\n  output y = x[:, 3]\n}",
        "model M {\n  input x: [B, 3]\n  output y = x[:, 2]\n}");

    public static readonly DiagnosticDescriptor RequireFailed = Error("DNN0308", "requirement that does not hold",
        "`require` states what a layer or model needs of its hyperparameters and sizes.",
        "layer f(heads: int)(x: [B, D]) {\n  require D % heads == 0, \"heads must divide the size\"\n  return x\n}\nmodel M {\n  input x: [B, 6]\n  output y = x |> f(4)\n}",
        "layer f(heads: int)(x: [B, D]) {\n  require D % heads == 0, \"heads must divide the size\"\n  return x\n}\nmodel M {\n  input x: [B, 6]\n  output y = x |> f(3)\n}");

    public static readonly DiagnosticDescriptor LayerArithmetic = Error("DNN0309", "operator on a layer",
        "Operators are for tensors and numbers. `|>` binds more loosely than they do, so an application needs parentheses to be an operand.",
        "layer f(x: [B, D]) {\n  return x |> relu + x\n}",
        "layer f(x: [B, D]) {\n  return (x |> relu) + x\n}");

    public static readonly DiagnosticDescriptor NoGradientPath = Error("DNN0310", "gradient of something that does not depend on it",
        "There is no differentiable way from one to the other; the message says where it stops. With `unused = zeros` the result is zeros.",
        "model M {\n  input x: [B, 2]\n  output g = grad(sum(round(x)), x)\n}",
        "model M {\n  input x: [B, 2]\n  output g = grad(sum(x * x), x)\n}");

    public static readonly DiagnosticDescriptor NotScalar = Error("DNN0311", "tensor where one number is needed",
        "A loss, a metric and what `grad` differentiates are scalars. Take a mean or a sum.",
        "model M {\n  input x: [B, 2]\n  loss x * x\n}",
        "model M {\n  input x: [B, 2]\n  loss mean(x * x)\n}");

    public static readonly DiagnosticDescriptor TooLarge = Error("DNN0312", "number, loop or tensor that is too large",
        "Sizes reach to 2³¹ − 1, static whole numbers to 2⁶³ − 1, and a model is put together in at most four million turns of loops. Applying a lambda counts as a turn, constructing and applying a layer of the file as ten each, and an application inside of others once more for each of them.",
        "model M {\n  input x: [B, 2]\n  output y = x |> repeat(1000000000, relu)\n}",
        "model M {\n  input x: [B, 2]\n  output y = x |> repeat(100, relu)\n}");

    public static readonly DiagnosticDescriptor EndlessApplication = Error("DNN0313", "layers applied inside of each other without end",
        "A layer that applies itself needs a static condition that ends it. `repeat` and `for` are the usual way to depth.",
        "layer f(x: [B]) {\n  return f(x) + 1\n}\nmodel M {\n  input x: [B]\n  output y = f(x)\n}",
        "layer f(x: [B]) {\n  return x + 1\n}\nmodel M {\n  input x: [B]\n  output y = x |> repeat(3, f)\n}");

    public static readonly DiagnosticDescriptor Unit = Error("DNN0314", "unit that does not belong",
        "Counts of steps and of epochs may carry their unit, which must be the one that is counted there.",
        "let rate = warmup_cosine(0.1, warmup = 5 epochs)",
        "let rate = warmup_cosine(0.1, warmup = 500 steps)");

    public static readonly DiagnosticDescriptor PatternMismatch = Error("DNN0315", "pattern with another number of parts",
        "A pattern takes a tuple or list of its own length apart.",
        "let (a, b) = (1, 2, 3)",
        "let (a, b, c) = (1, 2, 3)");

    public static readonly DiagnosticDescriptor RepeatedSize = Error("DNN0316", "broadcast of a size with itself",
        "A tensor [B, 1] with one of [B] would give [B, B]: every row with every row. That is hardly ever meant.",
        "model M {\n  input x: [B, 1]\n  target y: [B]\n  metric error = mean(x - y)\n}",
        "model M {\n  input x: [B, 1]\n  target y: [B]\n  metric error = mean(squeeze(x, -1) - y)\n}");

    public static readonly DiagnosticDescriptor EvaluationOnly = Error("DNN0317", "parameter that exists in evaluation only",
        "Training and evaluation are two graphs over the same parameters. What training lacks is never trained.",
        "model M {\n  input x: [B, 2]\n  output y = if training then x else x |> dense(2)\n}",
        "model M {\n  input x: [B, 2]\n  let fc = dense(2)\n  output y = if training then fc(x) else 2 * fc(x)\n}");

    public static readonly DiagnosticDescriptor DivisionByZero = Error("DNN0318", "division by zero",
        "A static division by zero is an error; infinity is written `inf`.",
        "let a = 1 / 0",
        "let a = inf");

    public static readonly DiagnosticDescriptor NotDivisible = Error("DNN0319", "size that does not divide",
        "A quotient in a shape asks that the division is exact.",
        "layer f(heads: int)(x: [B, D]) -> [B, D/heads] {\n  return x[:, :floor_div(D, heads)]\n}\nmodel M {\n  input x: [B, 6]\n  output y = x |> f(4)\n}",
        "layer f(heads: int)(x: [B, D]) -> [B, D/heads] {\n  return x[:, :floor_div(D, heads)]\n}\nmodel M {\n  input x: [B, 6]\n  output y = x |> f(3)\n}");

    public static readonly DiagnosticDescriptor UnboundSize = Error("DNN0320", "size that has no value",
        "A name in a type is bound by a tensor that has it. What no tensor binds has no value.",
        "layer f(x: [...]) -> [N] {\n  return zeros([N])\n}\nmodel M {\n  input x: [B]\n  output y = f(x)\n}",
        "layer f(x: [N]) -> [N] {\n  return zeros([N])\n}\nmodel M {\n  input x: [B]\n  output y = f(x)\n}");

    public static readonly DiagnosticDescriptor InvalidArgument = Error("DNN0321", "argument that a layer cannot take",
        "The value of a hyperparameter is outside of what the layer is defined for.",
        "model M {\n  input x: [B, 2]\n  output y = x |> dropout(1.5)\n}",
        "model M {\n  input x: [B, 2]\n  output y = x |> dropout(0.5)\n}");

    public static readonly DiagnosticDescriptor InvalidGraph = Error("DNN0322", "graph that cannot be built",
        "The operation cannot be applied as asked; the message says why.",
        "model M {\n  input x: [B, 2]\n  loss mean(x) as step\n}",
        "model M {\n  input x: [B, 2]\n  loss mean(x) as distance\n}");

    public static readonly DiagnosticDescriptor OutputNeedsTarget = Error("DNN0323", "output that depends on a target",
        "Outputs are what inference returns, and targets are absent then.",
        "model M {\n  input x: [B, 2]\n  target y: [B, 2]\n  output error = x - y\n}",
        "model M {\n  input x: [B, 2]\n  target y: [B, 2]\n  metric error = mean(x - y)\n}");

    public static readonly DiagnosticDescriptor InvalidPattern = Error("DNN0360", "pattern that is not well-formed",
        "`rearrange` and `reduce` name each axis once on each side of one arrow; `einsum` has a letter for each axis and a term for each tensor.",
        "layer f(x: [B, T, C]) {\n  return rearrange(x, \"b t c -> b (c s)\")\n}\nmodel M {\n  input x: [B, 4, 3]\n  output y = f(x)\n}",
        "layer f(x: [B, T, C]) {\n  return rearrange(x, \"b t c -> b (c t)\")\n}\nmodel M {\n  input x: [B, 4, 3]\n  output y = f(x)\n}");

    public static readonly DiagnosticDescriptor PatternMisfit = Error("DNN0361", "pattern that does not fit its tensor",
        "The left side of a pattern has as many axes as the tensor; what is in parentheses multiplies to the size of one axis, and one letter stands for one size.",
        "model M {\n  input x: [B, 10, 6]\n  output y = rearrange(x, \"b t (h e) -> b h t e\", h = 4)\n}",
        "model M {\n  input x: [B, 10, 6]\n  output y = rearrange(x, \"b t (h e) -> b h t e\", h = 3)\n}");

    public static readonly DiagnosticDescriptor InvalidRule = Error("DNN0324", "gradient of one's own that is none",
        "A layer without parameters may carry its own gradient after its body: a function of the inputs, the result and its cotangent that gives one value for each input, made of those alone.",
        "layer f(x: [...]) {\n  return relu(x)\n} gradient (x, dy) {\n  return dy\n}",
        "layer f(x: [...]) {\n  return relu(x)\n} gradient (x, y, dy) {\n  return dy * (y > 0)\n}");

    public static readonly DiagnosticDescriptor AccidentalMeeting = Warning("DNN0325", "sizes of different names that meet",
        "Two axes meet that types give different names to, and nothing makes their sizes equal but the numbers that they are at present, or happen to be when data come. "
        + "If they are one size, give them one name; if they are two, something else was meant.",
        "model M(width: int = 8, hidden: int = 8) {\n  input x: [B, width]\n  param w: [hidden, 2] = normal()\n  output y = x @ w\n}",
        "model M(width: int = 8) {\n  input x: [B, width]\n  param w: [width, 2] = normal()\n  output y = x @ w\n}");

    public static readonly DiagnosticDescriptor ScanResult = Error("DNN0340", "step of a scan that gives no pair",
        "A step gives two things: the next state, which goes to the next step, and an output, which is stacked along the sequence. Each may be a tuple.",
        "model M {\n  input x: [B, T, 2]\n  let (s, ys) = scan(x, zeros([B, 2]), (s, xt) => s + xt)\n  output y = ys\n}",
        "model M {\n  input x: [B, T, 2]\n  let (s, ys) = scan(x, zeros([B, 2]), (s, xt) => (s + xt, s))\n  output y = ys\n}");

    public static readonly DiagnosticDescriptor ScanState = Error("DNN0341", "state of a scan that changes its type",
        "One plan serves all steps, so the state has the same number of parts, shape and element type before and after a step. Often it starts without an axis, such as the batch, that the first step adds.",
        "model M {\n  input x: [B, T, 2]\n  let (s, ys) = scan(x, zeros([2]), (s, xt) => (s + xt, s))\n  output y = ys\n}",
        "model M {\n  input x: [B, T, 2]\n  let (s, ys) = scan(x, zeros([B, 2]), (s, xt) => (s + xt, s))\n  output y = ys\n}");

    public static readonly DiagnosticDescriptor AssertionFailed = Error("DNN0330", "assertion that does not hold",
        "`dnn test` computes in f64 and shows both sides.",
        "test \"sum\" {\n  assert 1 + 1 == 3\n}",
        "test \"sum\" {\n  assert 1 + 1 == 2\n}");

    // ---- 0500–0599: data and training ------------------------------------------------------------------------------------

    public static readonly DiagnosticDescriptor InvalidData = Error("DNN0500", "data that cannot be used",
        "The file, the source's arguments or the lines of the data block do not go together; the message says which.",
        "data d = two_moons(samples = 10) {\n  split train = 9, validation = 9\n}",
        "data d = two_moons(samples = 10) {\n  split train = 8, validation = 2\n}");

    public static readonly DiagnosticDescriptor MissingColumn = Error("DNN0501", "input without a column",
        "Columns meet inputs and targets by name. `rename new = old` gives a column another name.",
        "data d = two_moons()\nmodel M {\n  input points: [B, 2]\n  target y: [B, 1]\n  loss bce_with_logits(points |> dense(1), y)\n}\ntrain M() on d {\n  optimizer sgd(0.1)\n}",
        "data d = two_moons()\nmodel M {\n  input x: [B, 2]\n  target y: [B, 1]\n  loss bce_with_logits(x |> dense(1), y)\n}\ntrain M() on d {\n  optimizer sgd(0.1)\n}");

    public static readonly DiagnosticDescriptor ColumnType = Error("DNN0502", "column of another type or shape",
        "What a column holds must be what the input or target declares, without the dimension of the rows.",
        "data d = two_moons()\nmodel M {\n  input x: [B, 3]\n  target y: [B, 1]\n  loss bce_with_logits(x |> dense(1), y)\n}\ntrain M() on d {\n  optimizer sgd(0.1)\n}",
        "data d = two_moons()\nmodel M {\n  input x: [B, 2]\n  target y: [B, 1]\n  loss bce_with_logits(x |> dense(1), y)\n}\ntrain M() on d {\n  optimizer sgd(0.1)\n}");

    public static readonly DiagnosticDescriptor MissingOptimizer = Error("DNN0503", "training without an optimizer",
        "A train block says how gradients move parameters: `optimizer adam(lr = 0.001)`.",
        "data d = two_moons()\nmodel M {\n  input x: [B, 2]\n  target y: [B, 1]\n  loss bce_with_logits(x |> dense(1), y)\n}\ntrain M() on d {\n  batch 32\n}",
        "data d = two_moons()\nmodel M {\n  input x: [B, 2]\n  target y: [B, 1]\n  loss bce_with_logits(x |> dense(1), y)\n}\ntrain M() on d {\n  optimizer adam()\n  batch 32\n}");

    public static readonly DiagnosticDescriptor MissingLoss = Error("DNN0504", "training without a loss",
        "Training minimizes the sum of a model's losses.",
        "data d = two_moons()\nmodel M {\n  input x: [B, 2]\n  output y = x |> dense(1)\n}\ntrain M() on d {\n  optimizer adam()\n}",
        "data d = two_moons()\nmodel M {\n  input x: [B, 2]\n  target y: [B, 1]\n  loss bce_with_logits(x |> dense(1), y)\n}\ntrain M() on d {\n  optimizer adam()\n}");

    public static readonly DiagnosticDescriptor UnknownPart = Error("DNN0520", "part that the model does not have",
        "`on`, `freeze`, `only` and `weight_decay_on` name parts by the paths that `dnn summary` shows: a layer, a parameter, or a pattern in quotes.",
        "data d = two_moons()\nmodel M {\n  input x: [B, 2]\n  target y: [B, 1]\n  let body = dense(4)\n  let head = dense(1)\n  loss bce_with_logits(x |> body |> relu |> head, y)\n}\ntrain M() on d {\n  optimizer adam()\n  freeze boddy\n}",
        "data d = two_moons()\nmodel M {\n  input x: [B, 2]\n  target y: [B, 1]\n  let body = dense(4)\n  let head = dense(1)\n  loss bce_with_logits(x |> body |> relu |> head, y)\n}\ntrain M() on d {\n  optimizer adam()\n  freeze body\n}");

    public static readonly DiagnosticDescriptor MisplacedTail = Error("DNN0521", "words after an option that are not for it",
        "`on`, `minimize` and `every` say more of an optimizer, `only` and `rename` of `start_from`. Other options take arguments with names: `log every = 10 steps`.",
        "data d = two_moons()\nmodel M {\n  input x: [B, 2]\n  target y: [B, 1]\n  let body = dense(4)\n  let head = dense(1)\n  loss bce_with_logits(x |> body |> relu |> head, y)\n}\ntrain M() on d {\n  optimizer adam()\n  log every 10 steps\n}",
        "data d = two_moons()\nmodel M {\n  input x: [B, 2]\n  target y: [B, 1]\n  let body = dense(4)\n  let head = dense(1)\n  loss bce_with_logits(x |> body |> relu |> head, y)\n}\ntrain M() on d {\n  optimizer adam()\n  log every = 10 steps\n}");

    public static readonly DiagnosticDescriptor OptionConflict = Error("DNN0522", "options that do not go together",
        "The message says why one of them cannot be done with the other.",
        "data d = two_moons()\nmodel M {\n  input x: [B, 2]\n  target y: [B, 1]\n  let body = dense(4)\n  let head = dense(1)\n  loss bce_with_logits(x |> body |> relu |> head, y)\n}\ntrain M() on d {\n  optimizer lbfgs()\n  accumulate 2\n}",
        "data d = two_moons()\nmodel M {\n  input x: [B, 2]\n  target y: [B, 1]\n  let body = dense(4)\n  let head = dense(1)\n  loss bce_with_logits(x |> body |> relu |> head, y)\n}\ntrain M() on d {\n  optimizer adam()\n  accumulate 2\n}");

    public static readonly DiagnosticDescriptor Untrained = Warning("DNN0523", "parameters that no optimizer trains",
        "With `on`, optimizers train what they name and nothing else. `freeze` says that a part is meant to stay.",
        "data d = two_moons()\nmodel M {\n  input x: [B, 2]\n  target y: [B, 1]\n  let body = dense(4)\n  let head = dense(1)\n  loss bce_with_logits(x |> body |> relu |> head, y)\n}\ntrain M() on d {\n  optimizer adam() on head\n}",
        "data d = two_moons()\nmodel M {\n  input x: [B, 2]\n  target y: [B, 1]\n  let body = dense(4)\n  let head = dense(1)\n  loss bce_with_logits(x |> body |> relu |> head, y)\n}\ntrain M() on d {\n  optimizer adam() on head\n  freeze body\n}");

    public static readonly DiagnosticDescriptor TooManyClasses = Error("DNN0524", "more classes than the model has room for",
        "A label or token chooses a place on an axis: of the logits, or of an embedding's table. Every class of the data needs one; classes count from 0.",
        "data d = reverse_task(symbols = 8)\nmodel M {\n  input x: int[B, T]\n  target y: int[B, T]\n  loss cross_entropy(x |> embedding(8, 4) |> dense(9), y)\n}\ntrain M() on d {\n  optimizer adam()\n}",
        "data d = reverse_task(symbols = 8)\nmodel M {\n  input x: int[B, T]\n  target y: int[B, T]\n  loss cross_entropy(x |> embedding(9, 4) |> dense(9), y)\n}\ntrain M() on d {\n  optimizer adam()\n}");

    // ---- 0560–0569: comments that speak to the linter ----------------------------------------------------------------------

    public static readonly DiagnosticDescriptor UnknownAllowance = Warning("DNN0560", "comment that allows nothing that exists",
        "A comment `// dnn: allow CODE reason` silences a warning or note on the line below. The code must be that of one; errors cannot be allowed.",
        "// dnn: allow DNN9999 because\nlet a = 1",
        "// dnn: allow DNN1001 a factorization\nlet a = 1");

    public static readonly DiagnosticDescriptor AllowanceWithoutReason = Warning("DNN0561", "comment that allows without a reason",
        "Who reads the file later should know why a warning does not hold here: `// dnn: allow CODE reason`.",
        "// dnn: allow DNN1001\nlet a = 1",
        "// dnn: allow DNN1001 a factorization\nlet a = 1");

    /// <summary>The whole table, in order of the code; the rules of the linter have their rows in their own files.</summary>
    public static ImmutableArray<DiagnosticDescriptor> All { get; } = [.. _rows.Concat(LintRules.All.Select(r => r.Descriptor)).OrderBy(r => r.Code, StringComparer.Ordinal)];

    /// <summary>The row of a code, or null.</summary>
    public static DiagnosticDescriptor? Find(string code) =>
        All.FirstOrDefault(r => r.Code.Equals(code, StringComparison.OrdinalIgnoreCase));

    private static DiagnosticDescriptor Error(string code, string title, string explanation, string bad, string good) =>
        Row(new(code, Severity.Error, title, explanation, bad, good));

    private static DiagnosticDescriptor Warning(string code, string title, string explanation, string bad, string good) =>
        Row(new(code, Severity.Warning, title, explanation, bad, good));

    private static DiagnosticDescriptor Row(DiagnosticDescriptor row)
    {
        _rows.Add(row);
        return row;
    }
}
