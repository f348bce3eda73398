using System.Collections.Immutable;
using Dnn.Graph;

namespace Dnn.Dsl.Ide;

/// <summary>
/// One state of a file in an editor, and all that an editor asks about it: plain records, computed when they are asked for, from a file that may be
/// incomplete anywhere. Positions count UTF-16 units from 0; spans are of <see cref="Source"/> or of an imported file. Immutable: a change makes
/// another one.
/// </summary>
public sealed class IdeFile
{
    private readonly CompileOptions options;
    private readonly Lazy<CompileResult> compiled;
    private readonly Lazy<TolerantTree> tolerant;
    private readonly Lazy<Binding> binding;
    private readonly Lazy<Occurrences> occurrences;

    /// <param name="source">The text, with the path that imports are relative to.</param>
    /// <param name="options">Where imported files and the columns of data come from.</param>
    public IdeFile(SourceText source, CompileOptions? options = null)
    {
        this.options = options ?? CompileOptions.Default;
        Tree = Parser.Parse(source);
        compiled = new(() => Compiler.Compile(Tree, this.options, observe: true));
        tolerant = new(() => TolerantTree.Of(Tree));
        binding = new(() => Bind(tolerant.Value.Tree));
        occurrences = new(() => new Occurrences(binding.Value, tolerant.Value));
    }

    public SourceText Source => Tree.Source;

    /// <summary>The tree of the text as it is.</summary>
    public SyntaxTree Tree { get; }

    /// <summary>All that is wrong with the file, in order of place.</summary>
    public ImmutableArray<Diagnostic> Diagnostics => compiled.Value.Diagnostics;

    /// <summary>What a name means; null where no name stands, or an unknown one.</summary>
    public Hover? HoverAt(int position) => HoverText.At(this, position);

    /// <summary>What could be written at a position, names of the file before those of the language. The part of a name that is written already filters nothing.</summary>
    public ImmutableArray<Completion> CompletionsAt(int position) => Completions.At(this, position);

    /// <summary>Where the name at a position is declared, perhaps in another file; null where no name of a file stands.</summary>
    public TextSpan? DefinitionAt(int position) => Names.At(position)?.Symbol is { } symbol ? Tolerant.Back(symbol.Span) : null;

    /// <summary>Every place in this file where the name at a position stands, its declaration included.</summary>
    public ImmutableArray<Reference> ReferencesAt(int position) =>
        Names.At(position)?.Symbol is { } symbol ? [.. Names.Of(symbol).Select(o => new Reference(o.Span, o.IsDeclaration))] : [];

    /// <summary>Gives what stands at a position another name, everywhere in the file; says why not if it would then mean something else.</summary>
    public Renaming RenameAt(int position, string name) => Renamer.Rename(this, position, name);

    /// <summary>The declarations and what is in them.</summary>
    public ImmutableArray<OutlineItem> Outline => Outlines.Of(Tolerant);

    /// <summary>Every token and comment with what it means, in order; newlines and brackets are left out.</summary>
    public ImmutableArray<SemanticToken> Tokens => SemanticTokens.Of(this);

    /// <summary>What can be folded, in order of place.</summary>
    public ImmutableArray<Fold> Folds => Folding.Of(Tree);

    /// <summary>How what is being called at a position is called; null outside of calls.</summary>
    public Signature? SignatureAt(int position) => Signatures.At(this, position);

    internal CompileOptions Options => options;

    internal CompileResult Compiled => compiled.Value;

    internal TolerantTree Tolerant => tolerant.Value;

    internal Binding Binding => binding.Value;

    internal Occurrences Names => occurrences.Value;

    /// <summary>What names mean in a tree of this file.</summary>
    internal Binding Bind(SyntaxTree tree) => Binder.Bind(ModuleLoader.Load(tree, options.Sources).Modules).Binding;

    /// <summary>The name before, around or right after a position; empty at the position if there is none.</summary>
    internal TextSpan NameAround(int position)
    {
        var (start, end) = (position, position);
        while (start > 0 && IsNamePart(Source.Text[start - 1]))
            start--;
        while (end < Source.Length && IsNamePart(Source.Text[end]))
            end++;
        return Source.Span(start, end);
    }

    private static bool IsNamePart(char c) => char.IsLetterOrDigit(c) || c == '_';

    /// <summary>The columns of the data that a model is trained on; empty where they are not known.</summary>
    internal ImmutableArray<DataColumn> ColumnsOf(string? model, string? data)
    {
        var known = Compiled.Models.Where(m => m.Schema is not null && (model is null || m.ModelName == model) && (data is null || m.Data?.Name == data)).Select(m => m.Schema!).FirstOrDefault();
        return known is null ? [] : [.. known.Columns];
    }
}
