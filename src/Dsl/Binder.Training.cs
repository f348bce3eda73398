using System.Collections.Immutable;

namespace Dnn.Dsl;

/// <summary>Names in data and train blocks.</summary>
internal sealed partial class Binder
{
    // ---- Data and training -------------------------------------------------------------------------------------------

    private void Data(DataSyntax data)
    {
        if (data.Source.Bare is CallSyntax { Callee: NameSyntax name } call && Resolve(name) is null && Catalog.Find(name.Name.Text)?.Kind == CatalogKind.Source)
        {
            Call(call, null);
        }
        else
        {
            var diagnostic = DiagnosticCodes.WrongKind.At(data.Source.Span, "data come from a source, such as csv(\"file.csv\") or two_moons()");
            if (data.Source.Bare is CallSyntax { Callee: NameSyntax callee })
                diagnostic = diagnostic.WithSuggestion(callee.Name.Text, callee.Span, Catalog.All.Where(e => e.Kind == CatalogKind.Source).Select(e => e.Name));
            Report(diagnostic);
        }

        var seen = new Dictionary<string, TextSpan>();
        foreach (var option in data.Options)
        {
            var text = option.Name.Text;
            if (!DataOptions.Known.Contains(text))
                Report(DiagnosticCodes.UnknownOption.At(option.Name.Span, $"a data block has no line `{text}`").WithSuggestion(text, option.Name.Span, DataOptions.Known).WithNote($"known: {string.Join(", ", DataOptions.Known)}"));
            else if (text != "rename" && !seen.TryAdd(text, option.Name.Span))
                Report(DiagnosticCodes.DuplicateArgument.At(option.Name.Span, $"`{text}` stands twice").With(seen[text], "here, too"));
            if (text is "split" or "shuffle")
            {
                foreach (var argument in option.Arguments)
                    Expression(argument.Value);
            }

            if (text == "augment")
                Augment(option);
        }
    }

    private void Augment(DataOptionSyntax option)
    {
        if (option.Steps.IsEmpty)
            Report(DiagnosticCodes.MissingArgument.At(option.Name.Span, $"`augment` takes a block: augment {{ {string.Join("; ", DataOptions.Augmentations.Select(a => a.Name))} }}, each on a line of its own"));
        foreach (var step in option.Steps)
        {
            var call = step.Bare as CallSyntax;
            var name = (call?.Callee ?? step).Bare as NameSyntax;
            if (name is null || DataOptions.Augmentations.FirstOrDefault(a => a.Name == name.Name.Text) is not { } row)
            {
                var known = DataOptions.Augmentations.Select(a => a.Name).ToArray();
                var diagnostic = DiagnosticCodes.UnknownOption.At(name?.Span ?? step.Span, $"`augment` has no `{name?.Name.Text ?? "such line"}`").WithNote($"known: {string.Join(", ", known)}");
                Report(name is null ? diagnostic : diagnostic.WithSuggestion(name.Name.Text, name.Span, known));
                continue;
            }

            Slot[] slots = [.. row.Parameters.Select(p => p.Slot)];
            ArgumentMatcher.Match($"`{row.Name}`", $"{row.Name}({row.Signature})", slots, call?.Arguments ?? [], 0, name.Span, Report);
            foreach (var argument in call?.Arguments ?? [])
                Expression(argument.Value);
        }
    }

    private void Train(TrainSyntax train)
    {
        ModelCall((NameSyntax)train.Model.Callee, train.Model.Arguments);
        if (file.GetValueOrDefault(train.Data.Text) is not { Kind: SymbolKind.Data } && !perhapsDeclared.Contains(train.Data.Text))
            Report(DiagnosticCodes.UnknownName.At(train.Data.Span, $"there is no data `{train.Data.Text}`").WithSuggestion(train.Data.Text, train.Data.Span, binding.Data.Select(d => d.Name.Text)));
        var seen = new Dictionary<string, TextSpan>();
        foreach (var option in train.Options)
            TrainOption(option, seen);
    }

    /// <summary>A model of the file with arguments for its hyperparameters.</summary>
    private void ModelCall(NameSyntax name, ImmutableArray<ArgumentSyntax> arguments)
    {
        if (file.GetValueOrDefault(name.Name.Text) is { Kind: SymbolKind.Model } model)
        {
            binding.Uses[name] = model;
            var hypers = ((ModelSyntax)model.Declaration!).Hypers?.Parameters ?? [];
            Slot[] slots = [.. hypers.Select(p => new Slot(p.Name.Text, p.Default is null))];
            ArgumentMatcher.Match($"`{model.Name}`", $"{model.Name}({string.Join(", ", hypers.Select(p => p.Span.Text))})", slots, arguments, 0, name.Span, Report, model.Span);
        }
        else if (!perhapsDeclared.Contains(name.Name.Text))
        {
            Report(DiagnosticCodes.UnknownName.At(name.Span, $"there is no model `{name.Name.Text}`").WithSuggestion(name.Name.Text, name.Span, binding.Models.Select(m => m.Name.Text)));
        }

        foreach (var argument in arguments)
            Expression(argument.Value);
    }

    private void TrainOption(TrainOptionSyntax option, Dictionary<string, TextSpan> seen)
    {
        var text = option.Name.Text;
        if (TrainOptions.Find(text) is not { } row)
        {
            Report(DiagnosticCodes.UnknownOption.At(option.Name.Span, $"a train block has no option `{text}`")
                .WithSuggestion(text, option.Name.Span, TrainOptions.All.Select(o => o.Name)).WithNote($"known: {string.Join(", ", TrainOptions.All.Select(o => o.Name))}"));
            return;
        }

        var tail = text == "optimizer" ? null : option.On?.Span ?? option.Minimize?.Span ?? option.Every?.Span;
        if (tail is { } words)
            Report(DiagnosticCodes.MisplacedTail.At(words, "`on`, `minimize` and `every` without `=` go with `optimizer` alone").WithNote($"it takes {text} {row.Signature}"));
        var files = text == "start_from" ? null : option.Only.FirstOrDefault()?.Span ?? option.Renames.FirstOrDefault()?.Span;
        if (files is { } names)
            Report(DiagnosticCodes.MisplacedTail.At(names, "`only` and `rename` go with `start_from` alone").WithNote($"it takes {text} {row.Signature}"));
        if (option.Every is { } every)
            Expression(every);
        if (!seen.TryAdd(text, option.Name.Span) && text != "optimizer")
            Report(DiagnosticCodes.DuplicateArgument.At(option.Name.Span, $"`{text}` stands twice").With(seen[text], "here, too"));

        // What the option lacks is in its tail.
        if ((tail ?? files) is not null && option.Arguments.IsEmpty)
            return;
        if (row.Parameters is [{ Kind: ParameterKind.Paths, IsVariadic: true } parts])
        {
            if (option.Arguments.IsEmpty)
                Report(DiagnosticCodes.MissingArgument.At(option.Name.Span, $"`{text}` needs `{parts.Name}`").WithNote($"it takes {text} {row.Signature}"));
            foreach (var argument in option.Arguments.Where(a => a.Name is { } name && name.Text != parts.Name))
                Report(DiagnosticCodes.UnknownArgument.At(argument.Name!.Value.Span, $"`{text}` has no parameter `{argument.Name.Value.Text}`").WithNote($"it takes {text} {row.Signature}"));
            return;
        }

        if (text == "precision" && option.Arguments is [{ Value: { Bare: NameSyntax { Name.Text: var type } } value }] && type is "bf16" or "f16" or "half" or "float16" or "bfloat16" or "mixed")
        {
            Report(DiagnosticCodes.UnknownWord.At(value.Span, $"`{type}` is not there: .NET has no arithmetic of 16 bits that is faster than f32, so it would only lose digits").WithNote("`precision` takes f32 or f64"));
            return;
        }

        Slot[] slots = [.. row.Parameters.Select(p => p.Slot)];
        var places = ArgumentMatcher.Match($"`{text}`", $"{text} {row.Signature}", slots, option.Arguments, 0, option.Name.Span, Report);
        for (var i = 0; i < option.Arguments.Length; i++)
        {
            if (places[i] >= 0 && row.Parameters[places[i]].Kind != ParameterKind.Paths)
                Argument(option.Arguments[i].Value, row.Parameters[places[i]]);
        }
    }
}
