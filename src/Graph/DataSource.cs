namespace Dnn.Graph;

/// <summary>
/// Data, a weights file or a description of data that cannot be used. The message is for the person who wrote it:
/// <c>iris.csv:12: column 'age': 'abc' is not a number. Correct the cell.</c>
/// </summary>
public sealed class DataFormatException : Exception
{
    /// <param name="where">The file, or the declaration, that is at fault, with the place in it where there is one.</param>
    /// <param name="reason">What is wrong, without a full stop.</param>
    /// <param name="fix">What to do about it, as a sentence, without the full stop.</param>
    /// <param name="inner">What the system said, if it did.</param>
    public DataFormatException(string where, string reason, string? fix = null, Exception? inner = null)
        : base(fix is null ? $"{where}: {reason}" : $"{where}: {reason}. {fix}{(fix.EndsWith('?') ? "" : ".")}", inner)
    {
        Where = where;
        Reason = reason;
        Fix = fix;
    }

    /// <summary>The file (<c>w.npy</c>), the place in it (<c>iris.csv:12</c>), or the description (<c>data moons</c>).</summary>
    public string Where { get; }

    public string Reason { get; }

    public string? Fix { get; }
}
