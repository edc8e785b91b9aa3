namespace Frusta.Server.Parts;

/// <summary>When to give memory back: some times after a load, in intervals in which little is allocated.</summary>
internal sealed class TrimRule
{
    private const long Much = 128L << 20;
    private const long Little = 32L << 20;
    private const int Times = 4;

    private long _load;
    private int _timesLeft;

    /// <summary>An interval is over.</summary>
    /// <param name="lately">Bytes that were allocated in it.</param>
    public bool IsTimeToTrim(long lately)
    {
        if (lately > Little)
        {
            _load += lately;
            _timesLeft = _load > Much ? Times : _timesLeft;
            return false;
        }

        // Only a load counts. The little of every quiet interval is much in the end too, and light traffic would be held up for ever.
        if (_timesLeft == 0)
        {
            return false;
        }

        _timesLeft--;
        _load = 0;
        return true;
    }
}
