namespace Frusta.Bus;

/// <summary>What the bus counted since it started. While nothing moves, accepted = finished + pending + not stored.</summary>
/// <param name="Accepted">Activations that the bus took over, those recovered at the start included.</param>
/// <param name="Finished">Those of them that have a record.</param>
/// <param name="NotStored">Those that ended without one because a rule says so.</param>
/// <param name="Pending">Those that wait or run.</param>
/// <param name="PendingBytes">Bytes of the pending messages.</param>
/// <param name="Recovered">Accepted ones that an earlier process left without a record.</param>
/// <param name="RecordsRefused">Ended ones whose record the journal did not take; they count as pending.</param>
public readonly record struct BusCounts(
    long Accepted, long Finished, long NotStored, long Pending, long PendingBytes, long Recovered, long RecordsRefused)
{
    /// <summary>True when no activation is unaccounted for.</summary>
    public bool IsBalanced => Accepted == Finished + Pending + NotStored;
}

/// <summary>What the start found in the log of accepted activations.</summary>
/// <param name="Done">Those that had a record already.</param>
/// <param name="DeliveredAgain">Those that are run now: never started, or their action asks for another try.</param>
/// <param name="Interrupted">Those that were running when the process died: they got a record of a whisk internal error.</param>
/// <param name="TooOld">Those accepted longer ago than <see cref="BusOptions.MaxAgeSeconds"/>: they got such a record too.</param>
/// <param name="TriggersRecorded">Fired triggers whose record was missing.</param>
public sealed record RecoverySummary(int Done, int DeliveredAgain, int Interrupted, int TooOld, int TriggersRecorded);
