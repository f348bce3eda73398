using System.Collections.Immutable;

namespace Dnn.Graph;

/// <summary>Layers that stay layers when a model is printed.</summary>
public static partial class ModelPrinter
{
    /// <summary>One application of a layer that is printed as such.</summary>
    /// <param name="Scope">The application.</param>
    /// <param name="Owner">The layer in whose declaration it stands; null for the model.</param>
    private sealed record Application(Scope Scope, Application? Owner)
    {
        public string Path => Scope.Path;

        public Layer Instance => Scope.Layer!.Instance;

        /// <summary>How the layer is called, if it is one that every file knows; others are declared.</summary>
        public LayerNotation? Notation => Instance.Notation;

        /// <summary>How it uses the parameters, as layers around it that are taken apart do, too; innermost first.</summary>
        public ImmutableArray<ParameterUse> Uses { get; } = UsesOf(Scope, Owner);

        public bool IsFrozen => Uses.Any(u => u.Frozen) || Owner?.IsFrozen == true;

        public double Scale => Uses.Aggregate(Owner?.Scale ?? 1, (scale, use) => scale * use.LearningRateScale);

        public bool HasNoDecay => Uses.Any(u => u.NoDecay) || Owner?.HasNoDecay == true;

        private static ImmutableArray<ParameterUse> UsesOf(Scope scope, Application? owner)
        {
            var uses = scope.Uses.ToBuilder();
            for (var outer = scope.Parent; outer is not null && outer != owner?.Scope; outer = outer.Parent)
                uses.AddRange(outer.Uses.Where(u => !u.Checkpoint && u.Values.IsEmpty));
            return uses.ToImmutable();
        }

        /// <summary>Tensors in the place of parameters.</summary>
        public IEnumerable<GivenParameter> Given => Uses.SelectMany(u => u.Values);

        /// <summary>What it is made of: inputs, those by name, and those in the place of parameters.</summary>
        public IEnumerable<Expr> Operands => Scope.Inputs.Concat(Scope.Named.Select(n => n.Value)).Concat(Given.Select(g => g.Value));

        /// <summary>The applications inside of a declared layer, by what they give.</summary>
        public Dictionary<Expr, Application> Inside { get; } = [];

        /// <summary>Everything between inputs and results.</summary>
        public HashSet<Expr> Nodes { get; set; } = [];

        /// <summary>The application of the same instance before this one.</summary>
        public Application? Before { get; set; }
    }

    /// <summary>Nodes of one loop have this in common.</summary>
    private static (ScanBody Body, ValueList<Expr> Arguments) KeyOf(Expr node) => (((Scan)node.Op).Body, ValueList.Create(node.Args.AsSpan()));

    /// <summary>What was found not to be printable as it was made, and is taken apart: paths of layers, and functions.</summary>
    private sealed class Apart
    {
        private readonly HashSet<string> paths = new(StringComparer.Ordinal);
        private readonly HashSet<OpenBody> bodies = new(ReferenceEqualityComparer.Instance);

        public int Count => paths.Count + bodies.Count;

        public bool Add(string path) => paths.Add(path);

        public bool Add(OpenBody body) => bodies.Add(body);

        public bool Contains(string path) => paths.Contains(path);

        public bool Contains(OpenBody body) => bodies.Contains(body);
    }

    /// <summary>
    /// The applications that are printed as layers, because the graph contains them as they were made: outermost ones, and those inside of layers that are declared.
    /// </summary>
    private sealed class KeptLayers
    {
        private readonly Model model;
        private readonly Apart apart;
        private readonly HashSet<Expr> present;
        private readonly Dictionary<Expr, List<Expr>> derived = [];
        private readonly Dictionary<Expr, string> declared;
        private readonly Dictionary<string, int> counts = new(StringComparer.Ordinal);
        private readonly Dictionary<string, List<Application>> byPath = new(StringComparer.Ordinal);
        private readonly Dictionary<Expr, OpenBody> bodies = [];
        private readonly HashSet<Expr> numbers = [];
        private readonly HashSet<string> random = new(StringComparer.Ordinal);
        private ILookup<string, Parameter> parametersUnder = Array.Empty<Parameter>().ToLookup(p => p.Path);
        private ILookup<string, ModelBuffer> buffersUnder = Array.Empty<ModelBuffer>().ToLookup(b => b.Path);

        private KeptLayers(Model model, Apart apart)
        {
            this.model = model;
            this.apart = apart;
            var roots = model.Outputs.Concat(model.Losses).Concat(model.Metrics).Select(n => n.Value).Concat(model.Buffers.Where(b => b.Next is not null).Select(b => b.Next!));
            present = [.. Expr.PostOrder(roots)];
            KeepBodies(roots);
            foreach (var node in present.Where(n => model.Provenance.Find(n) is { IsDerived: true }))
            {
                foreach (var arg in node.Args)
                {
                    if (!derived.TryGetValue(arg, out var uses))
                        derived[arg] = uses = [];
                    uses.Add(node);
                }
            }

            declared = model.Parameters.Select(p => (p.Path, p.Variable)).Concat(model.Buffers.Select(b => (b.Path, b.Variable))).ToDictionary(d => d.Variable, d => d.Path);
            foreach (var scope in model.Scopes.Where(s => s.Layer is not null))
                counts[scope.Path] = counts.GetValueOrDefault(scope.Path) + 1;
        }

        private KeptLayers()
            : this(new Model { Name = "", Inputs = [], Targets = [], Parameters = [], Buffers = [], Outputs = [], Losses = [], Metrics = [] }, new())
        {
        }

        /// <summary>What is inside of functions that are printed as such.</summary>
        public HashSet<Expr> Inside { get; } = [];

        /// <summary>The function of whose results a node is one, if it is printed as such.</summary>
        public OpenBody? BodyOf(Expr node) => bodies.GetValueOrDefault(node);

        /// <summary>Finds functions whose results the graph has as they were made; those in functions come before these.</summary>
        private void KeepBodies(IEnumerable<Expr> roots)
        {
            if (model.Bodies.IsEmpty)
                return;
            var ends = roots.ToHashSet();
            var users = new Dictionary<Expr, List<Expr>>();
            var loops = new Dictionary<(ScanBody, ValueList<Expr>), List<Expr>>();
            foreach (var node in present)
                Enter(node);
            foreach (var body in model.Bodies.Reverse())
            {
                if (apart.Contains(body) || !body.Made.Any(present.Contains) || body.Results.Length == body.Walk?.States || body.Made.Distinct().Count() < body.Made.Length || !IsAsMade(body))
                    continue;
                foreach (var made in body.Made)
                    bodies[made] = body;
                if (body.Walk is not null && body.Given.Length > body.Inputs.Length)
                    numbers.Add(body.Given[^1]);
                ends.UnionWith(body.Results);
                foreach (var node in Expr.PostOrder(body.Results, present.Contains).Where(present.Add))
                {
                    Inside.Add(node);
                    Enter(node);
                }
            }

            void Enter(Expr node)
            {
                foreach (var arg in node.Args)
                    At(users, arg).Add(node);
                if (node.Op is Scan)
                    At(loops, KeyOf(node)).Add(node);
            }

            // All that is asked of the loop is asked by those who see its results.
            bool IsAsMade(OpenBody body) => body.Walk is not { } walk
                ? body.Made.All(y => y.Op is Checkpoint)
                : walk.Nodes.Where(present.Contains).All(n => body.Made.Contains(n) || (!ends.Contains(n) && users[n].TrueForAll(body.Made.Contains)))
                    && loops.GetValueOrDefault(KeyOf(walk.Nodes[0]), []).TrueForAll(walk.Nodes.Contains);

            static List<Expr> At<T>(Dictionary<T, List<Expr>> lists, T key)
                where T : notnull => lists.TryGetValue(key, out var list) ? list : lists[key] = [];
        }

        public static KeptLayers None { get; } = new();

        /// <summary>Those that the model itself applies, by what they give.</summary>
        public Dictionary<Expr, Application> Outermost { get; } = [];

        /// <summary>Paths that were found not to be printable as layers.</summary>
        public Apart Apart => apart;

        public IReadOnlyCollection<string> Paths => byPath.Keys;

        public IReadOnlyList<Application> Of(string path) => byPath.TryGetValue(path, out var all) ? all : [];

        /// <summary>The layer with a declaration or notation of its own that a path lies in, seen from inside of a layer, or from the model.</summary>
        public string? OwnerOf(string path, Application? seenFrom)
        {
            for (var end = seenFrom?.Path.Length + 1 ?? 1; end < path.Length; end++)
            {
                if (path[end] is '.' or '[' && byPath.TryGetValue(path[..end], out var all) && all[0].Owner?.Path == seenFrom?.Path)
                    return path[..end];
            }

            return null;
        }

        /// <summary>The innermost layer that a path lies in.</summary>
        public string? InnermostOwnerOf(string path) => Around(path).LastOrDefault();

        /// <summary>The parameters and buffers of a layer and of those inside of it.</summary>
        public (IEnumerable<Parameter> Parameters, IEnumerable<ModelBuffer> Buffers) Under(string path) => (parametersUnder[path], buffersUnder[path]);

        /// <param name="model">The model.</param>
        /// <param name="apart">Paths of layers that are taken apart; more are added.</param>
        public static KeptLayers Find(Model model, Apart apart)
        {
            // What is not printed as a layer in one place is so in none, and layers inside of it are looked at by themselves.
            for (var round = 0; round < MaxRounds; round++)
            {
                var before = apart.Count;
                var found = new KeptLayers(model, apart);
                found.Choose();
                if (apart.Count == before)
                    return found;
            }

            return None;
        }

        private void Choose()
        {
            var kept = new Dictionary<Scope, Application>();
            var owners = new Dictionary<Scope, Application?>();
            var closed = new HashSet<Scope>();
            foreach (var scope in model.Scopes)
            {
                if (scope.Layer is null)
                    continue;
                Application? owner = null;
                if (scope.Parent is { } parent)
                {
                    if (closed.Contains(parent) || (kept.TryGetValue(parent, out owner) && owner.Notation is not null))
                    {
                        closed.Add(scope);
                        continue;
                    }

                    owner ??= owners[parent];
                }

                owners[scope] = owner;
                if (apart.Contains(scope.Path) || !scope.Outputs.Any(present.Contains))
                    continue;
                var application = new Application(scope, owner);
                if (Fits(application))
                    Add(kept[scope] = application);
                else
                    apart.Add(scope.Path);
            }

            parametersUnder = model.Parameters.SelectMany(p => Around(p.Path).Select(path => (path, p))).ToLookup(p => p.path, p => p.p);
            buffersUnder = model.Buffers.SelectMany(b => Around(b.Path).Select(path => (path, b))).ToLookup(b => b.path, b => b.b);
            foreach (var (path, applications) in byPath)
            {
                if (!FitTogether(applications, [.. parametersUnder[path]], [.. buffersUnder[path]]))
                    apart.Add(path);
            }
        }

        /// <summary>The paths of layers that something lies in.</summary>
        private IEnumerable<string> Around(string path) =>
            Enumerable.Range(1, Math.Max(0, path.Length - 1)).Where(end => path[end] is '.' or '[').Select(end => path[..end]).Where(byPath.ContainsKey);

        private void Add(Application application)
        {
            foreach (var output in application.Scope.Outputs)
                (application.Owner?.Inside ?? Outermost)[output] = application;
            if (!byPath.TryGetValue(application.Path, out var others))
                byPath[application.Path] = others = [];
            application.Before = others.LastOrDefault();
            others.Add(application);
        }

        private bool Fits(Application application)
        {
            var (scope, layer) = (application.Scope, application.Scope.Layer!);
            var operands = application.Operands.ToHashSet();
            var others = application.Owner?.Inside ?? Outermost;
            if (scope.Outputs.Length == 0 || scope.Outputs.Distinct().Count() < scope.Outputs.Length || scope.Outputs.Any(y => y.Args.IsEmpty || operands.Contains(y) || others.ContainsKey(y)))
                return false;
            if (application.Owner is { } owner && !IsUnder(scope.Path, owner.Path))
                return false;
            if (application.Notation is null && application.Uses.Count(u => u.Checkpoint) > 1)
                return false;
            if (application.Given.Any(g => g.Layer.Instance != layer.Instance || application.Notation is null))
                return false;
            return IsWhole(application, operands);
        }

        /// <summary>Whether the graph between inputs and results is that of the layer alone.</summary>
        private bool IsWhole(Application application, HashSet<Expr> operands)
        {
            var scope = application.Scope;
            var seen = new HashSet<Expr>();
            var pending = new Stack<Expr>(scope.Outputs);
            var isRandom = false;
            while (pending.TryPop(out var node))
            {
                if (operands.Contains(node) || scope.StateRead?.Contains(node) == true || !seen.Add(node))
                    continue;
                if (node.Op is BodyParameter || (node.Op is Variable && !numbers.Contains(node) && node != RandomState.Seed && node != RandomState.Step && !(declared.TryGetValue(node, out var path) && IsUnder(path, scope.Path))))
                    return false;
                isRandom |= node.Op is RngBits;
                if (BodyOf(node) is { } body)
                {
                    if (body.Walk is not null)
                        operands.UnionWith(body.Given);
                    foreach (var result in body.Results)
                        pending.Push(result);
                }

                foreach (var arg in node.Args)
                    pending.Push(arg);
            }

            // A layer whose inner values derivatives need is better taken apart than computed twice for the reader.
            if (seen.Any(n => !scope.Outputs.Contains(n) && derived.TryGetValue(n, out var uses) && !n.Args.IsEmpty && n.Args.Any(a => !a.Args.IsEmpty || a.Op is Variable) && !uses.TrueForAll(seen.Contains)))
                return false;
            if (isRandom)
                random.Add(scope.Path);
            application.Nodes = seen;
            return true;
        }

        /// <summary>Whether all applications of one instance can be printed.</summary>
        private bool FitTogether(List<Application> applications, Parameter[] parameters, ModelBuffer[] buffers)
        {
            var path = applications[0].Path;
            if (applications.Any(a => a.Owner?.Path != applications[0].Owner?.Path))
                return false;

            // Keys of random numbers, and what is read from buffers, depend on the order of applications.
            if ((buffers.Length > 0 || random.Contains(path)) && applications.Count < counts[path])
                return false;
            var last = applications[^1].Scope.StateWritten;
            if (buffers.Any(b => b.Next is null || last?.GetValueOrDefault(b.Path) != b.Next))
                return false;
            var scale = applications.Select(a => a.Scale).FirstOrDefault(s => s != 1, 1);
            var hasNoDecay = applications.Any(a => a.HasNoDecay);
            foreach (var parameter in parameters)
            {
                if (applications[0].Notation is null)
                {
                    // It is declared with its options, and they are those of one use.
                    if (scale != 1)
                        return false;
                }
                else if (parameter.Options.Frozen || parameter.Options.LearningRateScale != scale || (hasNoDecay && !parameter.Options.NoDecay))
                {
                    return false;
                }
            }

            return true;
        }

        private static bool IsUnder(string path, string owner) => path.Length > owner.Length && path.StartsWith(owner, StringComparison.Ordinal) && path[owner.Length] is '.' or '[';
    }
}
