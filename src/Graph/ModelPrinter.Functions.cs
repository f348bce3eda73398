using System.Collections.Immutable;

namespace Dnn.Graph;

/// <summary>Functions that are given to <c>scan</c> and <c>checkpoint</c>.</summary>
public static partial class ModelPrinter
{
    /// <summary>A function whose inside is printed where it is given.</summary>
    private sealed class Region(OpenBody body, HashSet<Expr> inside)
    {
        private readonly HashSet<Expr> given = [.. body.Given];

        public OpenBody Body => body;

        /// <summary>What it prints, in order.</summary>
        public List<Expr> Order { get; set; } = [];

        /// <summary>What must be there before: what it is applied to, and each use of what is around it.</summary>
        public Expr[] Operands { get; set; } = [];

        /// <summary>The layers that it applies, also in functions inside of it.</summary>
        public List<Application> Applications { get; } = [];

        /// <summary>The earlier applications of these.</summary>
        public IEnumerable<Application?> Before => Applications.Select(a => a.Before);

        /// <summary>Whether a node is none of those that the function makes.</summary>
        public bool IsAround(Expr node) => !inside.Contains(node) || given.Contains(node);

        /// <summary>Whether a node does not depend on what the function is given.</summary>
        public bool IsFree(Expr node) => !inside.Contains(node);
    }

    private sealed partial class Block
    {
        private readonly Dictionary<Expr, Region> regions = [];
        private readonly Dictionary<Expr, Region?> places = [];

        /// <summary>The function of whose results a node is one.</summary>
        private Region? RegionOf(Expr node) => regions.TryGetValue(node, out var known) ? known
            : kept.BodyOf(node) is { } body && !applications.ContainsKey(node) ? Enter(body)
            : null;

        private Region Enter(OpenBody body)
        {
            var region = new Region(body, Inside(body));
            foreach (var made in body.Made)
                regions[made] = region;
            foreach (var given in body.Given)
                Place(given, region);
            region.Order = Order(body.Results, region);
            Expr[] read = [.. region.Order.SelectMany(Operands), .. body.Results];
            region.Operands = [.. body.Inputs, .. read.Where(region.IsFree)];
            foreach (var node in region.Order)
            {
                if (applications.TryGetValue(node, out var application))
                    region.Applications.Add(application);
                else if (RegionOf(node) is { } inner)
                    region.Applications.AddRange(inner.Applications);
            }

            // The number of a step has no name, and the identity of a checkpoint is its own.
            if (writer.Hidden.Contains(body.Walk is null ? "checkpoint" : "scan") || (body.Walk is null ? IsShared(body.Made) : body.Given.Length > body.Inputs.Length && read.Contains(body.Given[^1])))
                kept.Apart.Add(body);
            return region;
        }

        /// <summary>Whether more than the checkpoint itself has its identity, such as its derivative.</summary>
        private bool IsShared(ImmutableArray<Expr> made)
        {
            var symbol = ((Checkpoint)made[0].Op).Symbol;
            return writer.CountOf(symbol) > made.Length + made[0].Args.Count(a => a.Op is Barrier barrier && barrier.Symbol == symbol);
        }

        /// <summary>What a function is given, and all that depends on it.</summary>
        private HashSet<Expr> Inside(OpenBody body)
        {
            var inside = body.Given.ToHashSet();
            var users = new Dictionary<Expr, List<Expr>>();
            var seen = body.Given.ToHashSet();
            var pending = new Stack<Expr>(body.Results);
            while (pending.TryPop(out var node))
            {
                if (!seen.Add(node))
                    continue;
                foreach (var used in kept.BodyOf(node) is { } inner ? node.Args.Concat(inner.Results) : node.Args)
                {
                    if (!users.TryGetValue(used, out var all))
                        users[used] = all = [];
                    all.Add(node);
                    pending.Push(used);
                }
            }

            foreach (var given in body.Given)
                pending.Push(given);
            while (pending.TryPop(out var node))
            {
                foreach (var user in users.GetValueOrDefault(node, []).Where(inside.Add))
                    pending.Push(user);
            }

            return inside;
        }

        /// <summary>Notes the function that a node is printed in: one that is needed in two is in none.</summary>
        private void Place(Expr node, Region? region)
        {
            if (places.TryAdd(node, region) || places[node] is var other && other == region)
                return;
            foreach (var function in new[] { other, region })
            {
                if (function is not null)
                    kept.Apart.Add(function.Body);
            }
        }

        /// <summary>The node in a function, or in the body itself, in which another is found; null if it is around the function.</summary>
        private Expr? Home(Expr node, Region? region)
        {
            while (places.TryGetValue(node, out var place) && place != region)
            {
                if (place is null)
                    return null;
                node = place.Body.Made[0];
            }

            return node;
        }

        /// <summary>A function given and applied: as an expression if that is all, else as a line.</summary>
        private Piece? Write(Region region)
        {
            var body = region.Body;
            var inputs = body.Inputs.Select(x => P(x).Text).ToList();
            if (Composition(region) is { } composition)
                return new($"{P(body.Inputs[0]).AsPiped()} |> checkpoint({composition})", Level.Pipe, P(body.Inputs[0]).Stages + 1, HasLayers: true);
            foreach (var application in region.Applications)
                Declare(application);
            var (start, states) = (text.Length, body.Walk?.States ?? 0);
            var formals = inputs.Select((_, i) => Fresh(body.Walk is null ? "h" : i < states ? "state" : "xt")).ToList();
            foreach (var (given, name) in body.Given.Zip(formals))
                pieces[given] = new(name, Level.Atom);
            indent += 2;
            Lines(region.Order, body.Results);
            var isOne = text.Length == start;
            var result = Parts([.. body.Results.Select(r => P(r).Text)]);
            if (!isOne)
                Line("return " + result);
            indent -= 2;
            var (open, close) = body.Walk is { } walk
                ? ($"scan({Tuple(inputs[states..])}, {Tuple(inputs[..states])}, {Parts(formals)} => ", (walk.Axis == 1 ? "" : $", axis = {walk.Axis}") + (walk.Reverse ? ", reverse = true)" : ")"))
                : ($"{(inputs.Count == 1 ? P(body.Inputs[0]).AsPiped() : Tuple(inputs))} |> checkpoint({Parts(formals)} => ", ")");
            if (isOne && body is { Walk: null, Made.Length: 1 })
                return new(open + result + close, Level.Pipe, P(body.Inputs[0]).Stages + 1, HasLayers: true);
            var names = new List<string>();
            foreach (var node in body.Made)
            {
                names.Add(uses.ContainsKey(node) ? NameFor(node, null) : "_");
                Put(node, new(names[^1], Level.Atom));
            }

            open = $"let {Parts(names)} = {open}";
            if (isOne)
            {
                Line(open + result + close);
                return null;
            }

            text.Insert(start, $"{new string(' ', indent)}{open}{{\n");
            Line("}" + close);
            return null;

            string Parts(List<string> all) => states == 0 ? Tuple(all) : $"({Tuple(all[..states])}, {Tuple(all[states..])})";
        }

        /// <summary><c>dense(8) |> relu</c>, if the function is no more than that.</summary>
        private string? Composition(Region region)
        {
            if (region.Body is not { Walk: null, Given: [var last], Results: [var end] } || region.Order.Count == 0)
                return null;
            var stages = new List<Stage>();
            foreach (var node in region.Order)
            {
                if (StageOf(node) is not { } stage || Piped(node) != last || Known(node) is not null)
                    return null;
                stages.Add(stage);
                last = node;
            }

            return last == end ? string.Join(" |> ", stages.Select(s => s.Application is null ? s.Text : Construct(s.Application))) : null;
        }
    }
}
