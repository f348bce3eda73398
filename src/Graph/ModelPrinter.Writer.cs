using System.Globalization;
using System.Text;

namespace Dnn.Graph;

/// <summary>The text of one model: its own body, and those of the layers that are declared beside it.</summary>
public static partial class ModelPrinter
{
    /// <summary>What is no name.</summary>
    private static readonly HashSet<string> Keywords =
    [
        "if", "then", "else", "for", "in", "let", "return", "and", "or", "not", "true", "false", "training", "prim", "random", "inf", "pi", "nan",
    ];

    /// <summary>Names that mean something by themselves in what is printed.</summary>
    private static readonly HashSet<string> Reserved =
    [
        .. Keywords, "exp", "log", "log1p", "expm1", "tanh", "sigmoid", "erf", "sin", "cos", "sqrt", "rsqrt", "abs", "relu", "sign", "floor", "round",
        "maximum", "minimum", "sum", "max", "min", "full", "slice", "where", "stop_gradient", "floor_div", "cast", "reshape", "transpose", "broadcast_to", "concat", "einsum", "flip", "take",
        "repeat", "frozen", "no_decay", "lr_scale", "checkpoint", "scan",
    ];

    /// <summary>A name as a word: what is none becomes one.</summary>
    private static string Word(string name) => Identifier(name) is var word && Keywords.Contains(word) ? word + "_" : word;

    private sealed class Writer
    {
        private readonly Dictionary<Application, Block> blocks = [];
        private readonly Dictionary<string, Initializer> explicitInit = new(StringComparer.Ordinal);
        private readonly Dictionary<(string Kind, string Text), string> declarations = [];
        private readonly Dictionary<string, string> declaredAs = new(StringComparer.Ordinal);
        private readonly Dictionary<Expr, (bool Relu, bool Other)> followers = [];
        private readonly HashSet<string> layers;
        private readonly StringBuilder text = new("dnn 1\n\n");
        private readonly int apart;
        private ILookup<string, Scope>? scopes;
        private Dictionary<Symbol, int>? identities;
        private Dictionary<Symbol, string>? named;

        public Writer(Model model, KeptLayers kept, bool isFlat)
        {
            apart = kept.Apart.Count;
            (Model, Kept, IsFlat) = (model, kept, isFlat);
            foreach (var (path, variable) in model.Parameters.Select(p => (p.Path, p.Variable)).Concat(model.Buffers.Select(b => (b.Path, b.Variable))))
                PathOf[variable] = path;
            Buffers.UnionWith(model.Buffers.Select(b => b.Variable));
            foreach (var (name, value) in model.Outputs)
                OutputNames.TryAdd(value, Word(name));
            var roots = model.Outputs.Concat(model.Losses).Concat(model.Metrics).Select(n => n.Value).Concat(model.Buffers.Where(b => b.Next is not null).Select(b => b.Next!));
            Present = [.. Expr.PostOrder(roots), .. kept.Inside];
            var fed = model.Inputs.Concat(model.Targets);
            Hidden = [.. fed.Concat(model.Outputs).Select(n => Word(n.Name)), .. fed.SelectMany(i => i.Value.Shape.Dims).SelectMany(d => d.Names)];
            if (!isFlat)
                Taken.UnionWith(Present.Select(n => model.Provenance.CallOf(n)?.Name).OfType<string>());
            layers = [.. Taken];
            foreach (var first in kept.Paths.Select(p => kept.Of(p)[0]))
            {
                Taken.Add(first.Notation?.Name ?? Identifier(first.Instance.Kind));
                if (first.Notation is not { } notation)
                    continue;
                layers.Add(notation.Name);
                layers.UnionWith(notation.Words);
                Taken.UnionWith(notation.Words);
                if (Hidden.Contains(notation.Name) || notation.Words.Any(Hidden.Contains))
                    kept.Apart.Add(first.Path);
            }
        }

        public Model Model { get; }

        public KeptLayers Kept { get; }

        public bool IsFlat { get; }

        /// <summary>The paths of parameters and buffers.</summary>
        public Dictionary<Expr, string> PathOf { get; } = [];

        /// <summary>All nodes.</summary>
        public HashSet<Expr> Present { get; }

        /// <summary>The variables of buffers.</summary>
        public HashSet<Expr> Buffers { get; } = [];

        /// <summary>The names of inputs, targets, outputs and sizes: functions that are called so cannot be called.</summary>
        public HashSet<string> Hidden { get; }

        /// <summary>What outputs are called.</summary>
        public Dictionary<Expr, string> OutputNames { get; } = [];

        /// <summary>The names of layers and functions, which nothing else may have.</summary>
        public HashSet<string> Taken { get; } = [.. Reserved];

        /// <summary>All names that any body has.</summary>
        public HashSet<string> Used { get; } = [];

        /// <summary>The text; null if some layers must be taken apart first.</summary>
        public string? Write()
        {
            var before = apart;
            var body = new Block(this, null);
            foreach (var application in Kept.Paths.SelectMany(Kept.Of).Where(a => a.Notation is null))
                blocks[application] = new Block(this, application);
            body.Prepare();
            foreach (var block in blocks.Values)
                block.Prepare();
            if (Kept.Apart.Count == before)
                CheckInitializers();
            if (Kept.Apart.Count > before)
                return null;
            var written = body.Write();
            return Kept.Apart.Count > before ? null : text.Append(CultureInfo.InvariantCulture, $"model {Model.Name}{written}").ToString();
        }

        /// <summary>How source constructs an instance.</summary>
        public string Construction(Application application)
        {
            if (application.Notation is { } notation)
                return notation.ToSource(explicitInit.GetValueOrDefault(application.Path));
            var kind = Identifier(application.Instance.Kind);
            var body = blocks[application].Write();
            if (!declarations.TryGetValue((kind, body), out var name))
            {
                name = kind;
                for (var i = 1; layers.Contains(name) || Hidden.Contains(name) || (i > 1 && Used.Contains(name)); i++)
                    name = $"{kind}_{(i < 26 ? ((char)('a' + i)).ToString() : i)}";
                layers.Add(name);
                Taken.Add(name);
                declarations[(kind, body)] = name;
                text.Append(CultureInfo.InvariantCulture, $"layer {name}{body}\n");
            }

            // All applications of an instance are of one declaration.
            if (declaredAs.TryAdd(application.Path, name) || declaredAs[application.Path] == name)
                return name;
            Kept.Apart.Add(application.Path);
            return name;
        }

        public void Follow(Expr result, bool isRelu)
        {
            var (relu, other) = followers.GetValueOrDefault(result);
            followers[result] = (relu || isRelu, other || !isRelu);
        }

        /// <summary>What follows a layer decides what its weights start from: where that is not certain in what is printed, it is said.</summary>
        private void CheckInitializers()
        {
            foreach (var auto in Model.Parameters.Where(p => p.IsAuto).GroupBy(p => Kept.InnermostOwnerOf(p.Path)))
            {
                if (auto.Key is not { } path || Kept.Of(path)[0].Notation is not { } notation)
                    continue;
                var seen = Kept.Of(path).Select(a => followers.GetValueOrDefault(a.Scope.Outputs[0])).ToArray();
                var certain = seen.All(s => !s.Relu) ? Initializers.XavierUniform : seen.All(s => s is { Relu: true, Other: false }) ? Initializers.HeNormal : null;
                var uncertain = auto.Where(p => !p.Initializer.Equals(certain) && !IsInside(p.Path[..p.Path.LastIndexOf('.')], path)).ToArray();
                if (uncertain.Length == 0)
                    continue;
                if (uncertain is [var weight] && weight.Path == path + ".weight" && notation.TakesInit)
                    explicitInit[path] = weight.Initializer;
                else
                    Kept.Apart.Add(path);
            }
        }

        /// <summary>Whether a layer is inside of another whose results are not its own: then what follows is inside, too.</summary>
        private bool IsInside(string layer, string owner)
        {
            if (layer == owner)
                return false;
            var results = Kept.Of(owner).SelectMany(a => a.Scope.Outputs).ToHashSet();
            scopes ??= Model.Scopes.ToLookup(s => s.Path, StringComparer.Ordinal);
            return scopes[layer].All(s => !s.Outputs.Any(results.Contains));
        }

        /// <summary>The name of an identity that several nodes share; null where one node has it.</summary>
        public string? IdentityOf(Symbol symbol)
        {
            if (CountOf(symbol) <= 1)
                return null;
            named ??= [];
            if (!named.TryGetValue(symbol, out var name))
                named[symbol] = name = $"{Identifier(symbol.Name)}_{named.Count}";
            return name;
        }

        /// <summary>The number of nodes that have an identity; none where the graph does not need what a step makes.</summary>
        public int CountOf(Symbol symbol) => (identities ??= CountIdentities()).GetValueOrDefault(symbol);

        private Dictionary<Symbol, int> CountIdentities()
        {
            var counts = new Dictionary<Symbol, int>();
            var seen = new HashSet<Expr>();
            var pending = new Stack<Expr>(Model.Outputs.Concat(Model.Losses).Concat(Model.Metrics).Select(n => n.Value).Concat(Model.Buffers.Where(b => b.Next is not null).Select(b => b.Next!)));
            while (pending.TryPop(out var node))
            {
                if (!seen.Add(node))
                    continue;
                IEnumerable<Expr> inner = node.Op switch
                {
                    Scan { Output: { } output } scan => scan.Body.Next.Add(output),
                    Scan scan => scan.Body.Next,
                    CustomGradient custom => custom.Rule.Gradients,
                    _ => [],
                };
                foreach (var next in inner.Concat(node.Args))
                    pending.Push(next);
                if (node.Op is Barrier barrier)
                    counts[barrier.Symbol] = counts.GetValueOrDefault(barrier.Symbol) + 1;
                else if (node.Op is Checkpoint checkpoint)
                    counts[checkpoint.Symbol] = counts.GetValueOrDefault(checkpoint.Symbol) + 1;
            }

            return counts;
        }
    }
}
