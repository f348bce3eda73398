using Dnn.Graph;

namespace Dnn.Dsl;

/// <summary>Names from other files.</summary>
internal sealed partial class Binder
{
    /// <summary>Names that an import or a declaration with an error would have given a meaning to: uses of them are no errors of their own.</summary>
    private readonly List<Identifier> missing = [];

    private void Import(ImportSyntax import)
    {
        var source = module.Imports.GetValueOrDefault(import);
        foreach (var name in import.Names)
        {
            var symbol = source is null ? null : Exported(source, name.Name);
            if (symbol is null)
            {
                missing.Add(name.Local);
                continue;
            }

            if (!file.TryAdd(name.Local.Text, symbol))
            {
                Twice(name.Local, file[name.Local.Text]);
                continue;
            }

            if (IsRoot && symbol.Declaration is ModelSyntax model && !binding.Models.Contains(model))
                binding.Models.Add(model);
            if (IsRoot && symbol.Declaration is DataSyntax data && !binding.Data.Contains(data))
                binding.Data.Add(data);
        }
    }

    private Symbol? Exported(Module source, Identifier name)
    {
        if (source.Exports.TryGetValue(name.Text, out var symbol))
            return symbol;

        // A file with errors may declare it on a line that was not understood.
        if (source.Tree.Diagnostics.Any(d => d.IsError))
            return null;
        var path = source.Tree.Source.Path;
        var diagnostic = DiagnosticCodes.UnknownImport.At(name.Span, $"{path} declares no `{name.Text}`").WithSuggestion(name.Text, name.Span, source.Exports.Keys);
        Report(source.Names.TryGetValue(name.Text, out var elsewhere) ? diagnostic.With(elsewhere.Span, "it is imported there, from where this is declared")
            : diagnostic.Fix is null && source.Exports.Count > 0 ? diagnostic.WithNote($"it declares {string.Join(", ", source.Exports.Keys)}")
            : diagnostic);
        return null;
    }

    /// <summary>The one imported file of a name, for <c>name.hyper</c>.</summary>
    private Module? ImportedAs(string alias) => module.Imports.Values.Distinct().Where(m => m.Alias == alias).ToArray() is [var only] ? only : null;

    private void Qualified(FieldSyntax field, Module imported)
    {
        if (imported.Exports.TryGetValue(field.Name.Text, out var symbol) && symbol.Declaration is HyperSyntax)
        {
            binding.Qualified[field] = symbol;
            return;
        }

        var path = imported.Tree.Source.Path;
        if (symbol is not null)
        {
            Report(DiagnosticCodes.WrongKind.At(field.Span, $"{symbol.Describe()} is imported by its name: import … ({symbol.Name})").With(symbol.Span, "declared here")
                .WithNote("hyperparameters alone are known as those of their file"));
        }
        else if (imported.Tree.Diagnostics.All(d => !d.IsError))
        {
            Report(DiagnosticCodes.UnknownName.At(field.Name.Span, $"{path} has no hyperparameter `{field.Name.Text}`")
                .WithSuggestion(field.Name.Text, field.Name.Span, imported.Exports.Values.Where(s => s.Declaration is HyperSyntax).Select(s => s.Name)));
        }
    }

    /// <summary>
    /// The name by which <c>--set</c> knows a hyperparameter: its own in the first file, else with the file's in front, and of that as much as
    /// tells the files apart.
    /// </summary>
    private string SettingName(HyperSyntax hyper)
    {
        if (IsRoot)
            return hyper.Name.Text;
        var parts = module.Name.Split('.');
        for (var count = 1; count < parts.Length; count++)
        {
            var suffix = string.Join('.', parts[^count..]);
            if (binding.Modules.Count(m => m.Name == suffix || m.Name.EndsWith("." + suffix, StringComparison.Ordinal)) == 1)
                return $"{suffix}.{hyper.Name.Text}";
        }

        return $"{module.Name}.{hyper.Name.Text}";
    }
}
