namespace Frusta.Server.Parts;

/// <summary>Decides when to give memory back: a few times after a load, in intervals in which little is allocated.</summary>
internal sealed class TrimRule
{
    private const long Much = 128L << 20;
    private const long Little = 32L << 20;
    private const int Times = 4;

    private long _load;
    private int _timesLeft;

    /// <summary>Called when an interval is over; true when memory is to be given back now.</summary>
    /// <param name="lately">Bytes that were allocated in that interval.</param>
    public bool IsTimeToTrim(long lately)
    {
        if (lately > Little)
        {
            _load += lately;
            _timesLeft = _load > Much ? Times : _timesLeft;
            return false;
        }

        // Only a load counts. The bytes of quiet intervals add up to much in time too, and if they counted, light traffic would be held up again and again.
        if (_timesLeft == 0)
        {
            return false;
        }

        _timesLeft--;
        _load = 0;
        return true;
    }
}
